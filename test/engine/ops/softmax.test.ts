import { expect, test } from "bun:test";
import { softmax } from "../../../src/engine/ops/softmax.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { describeBackends } from "../../support/backends.ts";
import { randomArray } from "../../support/data.ts";
import { testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

const softmaxCase = (x: readonly number[], size = 1): OpCase => ({
  title: `${x.join(" × ")}, in ±${size}`,
  inputs: { x },
  op: ({ x }) => softmax(x!),
  values: (shape, seed) => randomArray(shape, seed).map((value) => value * size),
});

testOp("softmax", [softmaxCase([2, 1]), softmaxCase([3, 5], 4), softmaxCase([7]), softmaxCase([3, 2, 2, 3])], 1e-6);
// Gradients are small beside the products that they are differences of.
testOnBackends("softmax of more", [softmaxCase([1000, 9], 8), softmaxCase([10, 1009], 30)], 5e-6);

test("by hand", async () => {
  const tape = new Tape(openReference("f64"));
  const x = tape.input([3, 2], Float32Array.of(0, 1e3, 0, 0, Math.log(2), 0));
  expect([...(await softmax(x).read())]).toEqual([0.25, 1, 0.25, 0, 0.5, 0].map((value) => expect.closeTo(value, 7)));
});

describeBackends("softmax", ({ open }) => {
  test("NaN makes its own column NaN, what is masked by -Infinity is 0", async () => {
    const tape = new Tape(await open());
    const [inf, third] = [-Infinity, Math.fround(1 / 3)];
    for (const images of [3, 5]) {
      const columns = [[NaN, 0, 1], [0, inf, 0], [1, 1, 1], [inf, inf, 2], [0, 1, NaN]]; // prettier-ignore
      const wanted = [[NaN, NaN, NaN], [0.5, 0, 0.5], [third, third, third], [0, 0, 1], [NaN, NaN, NaN]]; // prettier-ignore
      const byClass = (rows: number[][]) => [0, 1, 2].flatMap((k) => rows.slice(0, images).map((row) => row[k]!));
      const y = await softmax(tape.input([3, images], Float32Array.from(byClass(columns)))).read();
      const close = byClass(wanted).map((value) => (Number.isNaN(value) ? NaN : expect.closeTo(value, 6)));
      expect([...y]).toEqual(close);
    }
    tape.release();
  });
});
