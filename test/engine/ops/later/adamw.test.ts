import { expect, test } from "bun:test";
import { adamw, type AdamWOptions } from "../../../../src/engine/ops/later/adamw.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";

const tape = () => new Tape(openReference("f64"));
const options: AdamWOptions = { rate: 0.1, decay: 0.5, step: 1 };

test("two steps, worked out by hand", async () => {
  const on = tape();
  const [w, m, v] = [2, 0, 0].map((value) => on.input([1], Float64Array.of(value) as unknown as Float32Array));
  const gradient = (value: number) => on.input([1], Float64Array.of(value) as unknown as Float32Array);
  adamw(w!, m!, v!, gradient(3), options);
  // In the first step the corrected moments are the gradient and its square: w goes 0.1 · 3 / 3, besides its decay.
  const first = 2 - 0.1 * 0.5 * 2 - (0.1 * 3) / (3 + 1e-8);
  expect((await w!.read())[0]).toBeCloseTo(first, 12);
  adamw(w!, m!, v!, gradient(-1), { ...options, step: 2 });
  const mean = (0.9 * 0.1 * 3 - 0.1) / (1 - 0.9 ** 2);
  const square = (0.999 * 0.001 * 9 + 0.001) / (1 - 0.999 ** 2);
  const second = first - 0.1 * 0.5 * first - (0.1 * mean) / (Math.sqrt(square) + 1e-8);
  expect((await w!.read())[0]).toBeCloseTo(second, 10);
  expect((await m!.read())[0]).toBeCloseTo(0.9 * 0.3 - 0.1, 12);
  expect((await v!.read())[0]).toBeCloseTo(0.999 * 0.009 + 0.001, 12);
});

test.each([
  [{ ...options, step: 0 }, [2], "adamw: step is 0, must be a whole number, at least 1"],
  [{ ...options, beta2: 1 }, [2], "adamw: beta2 is 1, must be a finite number from 0 to"],
  [{ ...options, rate: -1 }, [2], "adamw: rate is -1, must be a finite number, at least 0"],
  [options, [3], "adamw: weights 2, moments 2 and 3, gradient 2: must be of one shape"],
  [{ ...options, amsgrad: true }, [2], 'adamw: there is no option "amsgrad"'],
])("%p, second moments of %p", (given, shape, message) => {
  const on = tape();
  const [w, m, dw] = [0, 1, 2].map(() => on.input([2], new Float32Array(2)));
  const v = on.input(shape, new Float32Array(shape[0]!));
  expect(() => adamw(w!, m!, v, dw!, given)).toThrow(message);
});
