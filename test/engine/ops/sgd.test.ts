import { beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../../src/engine/backend.ts";
import { sgd } from "../../../src/engine/ops/sgd.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { describeBackends } from "../../support/backends.ts";
import { expectClose, randomArray } from "../../support/data.ts";

const OPTIONS = { rate: 0.1, momentum: 0.9, decay: 0.5 };

/** Weights and velocity after three steps with the same gradient. */
async function threeSteps(backend: Backend, w: Float32Array, v: Float32Array, dw: Float32Array) {
  const tape = new Tape(backend);
  const [weights, velocity, gradient] = [w, v, dw].map((data) => tape.input([data.length], data));
  for (let step = 0; step < 3; step++) sgd(weights!, velocity!, gradient!, OPTIONS);
  const result = { w: await weights!.read(), v: await velocity!.read() };
  tape.release();
  return result;
}

test("paper §5 by hand: v ← 0.9 v − decay · rate · w − rate · dw, w ← w + v", async () => {
  const one = (value: number) => Float32Array.of(value);
  // v: 0.9 − 0.1 − 0.4 = 0.4, w: 2.4; v: 0.36 − 0.12 − 0.4 = −0.16, w: 2.24; v: −0.144 − 0.112 − 0.4 = −0.656, w: 1.584
  const { w, v } = await threeSteps(openReference("f64"), one(2), one(1), one(4));
  expect(v[0]).toBeCloseTo(-0.656, 7);
  expect(w[0]).toBeCloseTo(1.584, 7);
});

describeBackends("sgd", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  for (const size of [1, 7, 64, 1021, 100_003]) {
    test(`${size} weights`, async () => {
      const [w, v, dw] = [1, 2, 3].map((seed) => randomArray([size], seed)) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const expected = await threeSteps(openReference("f64"), w, v, dw);
      const actual = await threeSteps(backend, w, v, dw);
      // A dozen roundings.
      expectClose("w", actual.w, expected.w, 5e-7);
      expectClose("v", actual.v, expected.v, 5e-7);
    });
  }
});

describe("weights larger than a binding", () => {
  test("are updated in pieces", async () => {
    const [w, v, dw] = [1, 2, 3].map((seed) => randomArray([150], seed)) as [Float32Array, Float32Array, Float32Array];
    const limits = { bindingBytes: 256, bufferBytes: Infinity, totalBytes: Infinity, viewAlignment: 256 };
    const narrow = { ...openReference(), limits };
    expect(await threeSteps(narrow, w, v, dw)).toEqual(await threeSteps(openReference(), w, v, dw));
  });
});
