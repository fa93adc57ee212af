import { expect, test } from "bun:test";
import { softmax } from "../../../../src/engine/ops/later/softmax.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { describeBackends } from "../../../support/backends.ts";
import { randomArray } from "../../../support/data.ts";
import { testOnBackends, testOp, type OpCase } from "../../../support/gradcheck.ts";

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
    const third = 1 / 3;
    const columns = [
      { x: [NaN, 0, 1], y: [NaN, NaN, NaN] },
      { x: [0, -Infinity, 0], y: [0.5, 0, 0.5] },
      { x: [1, 1, 1], y: [third, third, third] },
      { x: [-Infinity, -Infinity, 2], y: [0, 0, 1] },
      { x: [0, 1, NaN], y: [NaN, NaN, NaN] },
    ];
    for (const images of [3, 5]) {
      const byClass = (side: "x" | "y") => [0, 1, 2].flatMap((k) => columns.slice(0, images).map((c) => c[side][k]!));
      const y = await softmax(tape.input([3, images], Float32Array.from(byClass("x")))).read();
      const close = byClass("y").map((value) => (Number.isNaN(value) ? NaN : expect.closeTo(value, 6)));
      expect([...y]).toEqual(close);
    }
    tape.release();
  });
});
