import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { muon, type MuonOptions } from "../../../../src/engine/ops/later/muon.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { size } from "../../../../src/engine/tensor.ts";
import { expectClose, randomArray } from "../../../support/data.ts";
import { describeBackends } from "../../../support/backends.ts";

const options: MuonOptions = { rate: 0.02, decay: 0.1, momentum: 0.9 };

/** Three steps from these weights, w and m. */
async function steps(backend: Backend, shape: readonly number[], weights: Float32Array, gradients: Float32Array[]) {
  const tape = new Tape(backend);
  const zeros = weights.map(() => 0);
  const [w, m] = [tape.input(shape, weights), tape.input(shape, zeros)];
  for (const gradient of gradients) muon(w, m, tape.input(shape, gradient), options);
  const results = (await Promise.all([w.read(), m.read()])) as Float32Array[];
  tape.release();
  return results;
}

/** Of a function of the index. */
function numbers(shape: readonly number[], at: (i: number) => number): Float32Array {
  return Float64Array.from({ length: size(shape) }, (_, i) => at(i)) as unknown as Float32Array;
}

test.each([
  [
    [3, 5],
    [0.7994702549292703, 0.8971289930604353, 0.1431139436101866],
    0.6686920629599213,
    7.504185041437305,
    -0.11555734479222157,
  ],
  [
    [5, 3],
    [0.7988924748943019, 0.9283219373087882, 0.15601999952892961],
    0.6520215432719332,
    7.460116412446781,
    -0.11555734479222157,
  ],
  [
    [4, 2, 3, 3],
    [0.8131137554683548, 0.9027146603699566, 0.14599108609476769],
    0.2591210366883079,
    34.967480601486784,
    -0.016938970078632484,
  ],
])("%p: three steps of PyTorch 2.15's Muon, run in float64", async (shape, first, last, squares, mean) => {
  const gradients = [1, 2, 3].map((t) => numbers(shape, (i) => Math.cos(i * t)));
  const [w, m] = await steps(
    openReference("f64"),
    shape,
    numbers(shape, (i) => Math.sin(i + 1)),
    gradients,
  );
  first.forEach((value, i) => expect(w![i]!).toBeCloseTo(value, 7));
  expect(w!.at(-1)!).toBeCloseTo(last, 7);
  expect(w!.reduce((sum, value) => sum + value ** 2, 0)).toBeCloseTo(squares, 6);
  expect(m!.at(-1)!).toBeCloseTo(mean, 12);
});

test("all directions of a matrix are moved about as far, whatever their gradients", async () => {
  // Diagonal, so that the singular values are those on the diagonal.
  const gradient = Float32Array.of(3, 0, 0, 0, 0.5, 0, 0, 0, 0.1);
  const [w] = await steps(openReference(), [3, 3], new Float32Array(9), [gradient]);
  for (const i of [0, 4, 8]) expect(-w![i]! / options.rate).toBeWithin(0.65, 1.25);
  expect([1, 2, 3, 5, 6, 7].map((i) => Math.abs(w![i]!))).toEqual(Array(6).fill(0));
});

describeBackends("three steps as on the reference", ({ open }) => {
  test.each([[[67, 131]], [[131, 67]], [[20, 3, 5, 5]], [[1, 9]], [[9, 1]]])("%p", async (shape) => {
    const [weights, ...gradients] = [1, 2, 3, 4].map((seed) => randomArray(shape, seed));
    const [expected] = await steps(openReference("f64"), shape, weights!, gradients);
    const [found] = await steps(await open(), shape, weights!, gradients);
    expectClose("w", found!, expected!, 2e-5);
  });
});

describe("refused", () => {
  test.each([
    [[2, 3], [3, 2], options, "muon: weights 2 × 3, momentum 3 × 2, gradient 2 × 3: must be of one shape"],
    [[6], [6], options, "muon: weights 6, momentum 6, gradient 6: must be of one shape, with rows and columns"],
    [[2, 3], [2, 3], { ...options, rate: -1 }, "muon: rate is -1, must be a finite number, at least 0"],
    [[2, 3], [2, 3], { ...options, momentum: 2 }, "muon: momentum is 2, must be a finite number from 0 to 1"],
    [[2, 3], [2, 3], { ...options, nesterov: true }, 'muon: there is no option "nesterov"'],
  ])("%p, momentum %p, %p", (shape, momentum, given, message) => {
    const on = new Tape(openReference());
    const [w, m, dw] = [shape, momentum, shape].map((each) => on.input(each, new Float32Array(size(each))));
    expect(() => muon(w!, m!, dw!, given)).toThrow(message);
  });

  test("weights that the device can't bind whole", () => {
    const backend = openReference();
    const on = new Tape({ ...backend, limits: { ...backend.limits, bindingBytes: 16 } });
    const [w, m, dw] = [1, 2, 3].map(() => on.input([2, 3], new Float32Array(6)));
    expect(() => muon(w!, m!, dw!, options)).toThrow(
      "muon: weights 2 × 3 have 24 bytes, but this device binds at most 16: use another optimizer or device",
    );
  });
});
