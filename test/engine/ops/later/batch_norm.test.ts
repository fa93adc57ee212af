import { describe, expect, test } from "bun:test";
import { batchNorm, type BatchNormOptions } from "../../../../src/engine/ops/later/batch_norm.ts";
import type { Backend } from "../../../../src/engine/backend.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import type { AllReduce, Tensor } from "../../../../src/engine/tensor.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { describeBackends } from "../../../support/backends.ts";
import { expectClose, randomArray } from "../../../support/data.ts";
import { seedGradient, testOp, type OpCase } from "../../../support/gradcheck.ts";
import { watched } from "../../../support/watched.ts";

const shapes = [
  [1, 2],
  [5, 7],
  [3, 2, 3, 5],
  [2, 9, 1, 8],
];
const options = (training: boolean): BatchNormOptions => ({ training, epsilon: 0.01 });

/** A running mean and variance that differ from map to map. */
const running = (tape: Tape, maps: number) => ({
  mean: tape.input(
    [maps],
    Float32Array.from({ length: maps }, (_, i) => 0.1 * i),
  ),
  variance: tape.input(
    [maps],
    Float32Array.from({ length: maps }, (_, i) => 0.5 + 0.2 * i),
  ),
});

const casesOf = (training: boolean): OpCase[] =>
  shapes.flatMap((x): OpCase[] => {
    const maps = x[0]!;
    const title = `${x.join(" × ")}, ${training ? "in training" : "in use"}`;
    return [
      {
        title,
        inputs: { x, scale: [maps], shift: [maps] },
        op: ({ x, scale, shift }) =>
          batchNorm(x!, { scale, shift, ...running(x!.tape as Tape, maps) }, options(training)),
      },
      {
        title: `${title}, neither scaled nor shifted`,
        inputs: { x },
        op: ({ x }) => batchNorm(x!, running(x!.tape as Tape, maps), options(training)),
      },
    ];
  });

testOp("batchNorm", [...casesOf(true), ...casesOf(false)], 2e-5);

test("the running mean and variance are PyTorch's", async () => {
  // torch.nn.functional.batch_norm([[1, 2], [3, 7]], zeros, ones, training=True, momentum=0.1): maps are columns there.
  const tape = new Tape(openReference("f64"));
  const x = tape.input([2, 2], Float32Array.of(1, 3, 2, 7));
  const mean = tape.input([2], new Float32Array(2)).keep();
  const variance = tape.input([2], Float32Array.of(1, 1)).keep();
  const y = await batchNorm(x, { mean, variance }, { training: true }).read();
  // Means 2 and 4.5; variances 1 and 6.25, without bias 2 and 12.5.
  expect([...(await mean.read())]).toEqual([0.1 * 2, 0.1 * 4.5]);
  const [first, second] = await variance.read();
  expect(first).toBeCloseTo(0.9 + 0.1 * 2, 12);
  expect(second).toBeCloseTo(0.9 + 0.1 * 12.5, 12);
  expect(y[0]).toBeCloseTo(-1 / Math.sqrt(1 + 1e-5), 12);
  expect(y[3]).toBeCloseTo(2.5 / Math.sqrt(6.25 + 1e-5), 12);
});

describe("few long maps", () => {
  const [maps, plane] = [3, 5 * 4096];

  async function run(backend: Backend) {
    const { backend: device, kernels } = watched(backend);
    const tape = new Tape(device);
    // Means far from 0, which differ from part to part.
    const values = randomArray([maps, plane], 1).map((value, i) => 30 + value + Math.floor(i / 4096));
    const x = tape.input([maps, plane], values, { requiresGrad: true });
    const { mean, variance } = running(tape, maps);
    const scale = tape.input([maps], Float32Array.of(1, 2, 3), { requiresGrad: true });
    const shift = tape.input([maps], Float32Array.of(0.5, 0, -0.5), { requiresGrad: true });
    const y = batchNorm(x, { scale, shift, mean: mean.keep(), variance: variance.keep() }, options(true)).keep();
    tape.backward(seedGradient(y, randomArray([maps, plane], 2)));
    const results = { y, mean, variance, x: x.grad!, scale: scale.grad!, shift: shift.grad! };
    const read = await Promise.all(Object.entries(results).map(async ([name, it]) => [name, await it.read()] as const));
    tape.release();
    return { results: Object.fromEntries(read), kernels };
  }

  async function compare(backend: Backend, tolerance: number) {
    const { results: expected, kernels: whole } = await run(openReference("f64"));
    const { results, kernels } = await run({ ...backend, needsSplitting: true, parallelWorkgroups: 4 });
    for (const [name, values] of Object.entries(results)) expectClose(name, values, expected[name]!, tolerance);
    expect(whole).not.toContain("batch_norm_combine");
    expect(kernels).toContain("batch_norm_combine");
    expect(kernels.filter((name) => name === "row_sum")).toHaveLength(2);
  }

  test("are summed up in parts where the device has many workgroups", () => compare(openReference("f64"), 1e-11));

  describeBackends("on GPUs", ({ open }) => test("likewise", async () => compare(await open(), 2e-5)), ["wgpu"]);
});

describeBackends("devices that share a step", ({ open }) => {
  const [maps, first, images] = [3, 2, 5];
  const x = randomArray([maps, 2, images], 1).map((value) => 100 + value);
  const dy = randomArray([maps, 2, images], 2);
  const columns = (values: Float32Array, from: number, to: number) =>
    values.filter((_, i) => i % images >= from && i % images < to);

  /** What one device computes of the images from `from` to `to`. */
  async function run(backend: Backend, from: number, to: number, allReduce?: AllReduce) {
    const tape = new Tape(backend, allReduce && { allReduce });
    const part = tape.input([maps, 2, to - from], columns(x, from, to), { requiresGrad: true });
    const { mean, variance } = running(tape, maps);
    const scale = tape.input([maps], Float32Array.of(1, 2, 3), { requiresGrad: true });
    const y = batchNorm(part, { scale, mean, variance }, { training: true }).keep();
    tape.backward(seedGradient(y, columns(dy, from, to)));
    const read = async (tensor: Tensor) => (await tensor.read()) as Float32Array;
    const results = await Promise.all([y, part.grad!, scale.grad!, mean, variance].map(read));
    tape.release();
    return results;
  }

  test("compute what one computes of all images", async () => {
    const backend = await open();
    const expected = await run(backend, 0, images);
    // One after the other: what has not been summed yet is noted, until all sums are known.
    const known: Float64Array[] = [];
    const halves = [
      [0, first],
      [first, images],
    ] as const;
    for (let sums = 0; sums < 2; sums++) {
      const own: Float64Array[] = [];
      for (const [from, to] of halves) {
        let call = 0;
        await run(backend, from, to, (values) => {
          if (call === sums) own.push(values.slice());
          values.set(known[call++] ?? values);
        });
      }
      known.push(own[0]!.map((value, i) => value + own[1]![i]!));
    }
    const results = [];
    for (const [from, to] of halves) {
      let call = 0;
      results.push(await run(backend, from, to, (values) => values.set(known[call++]!)));
    }
    const [left, right] = results as [Float32Array[], Float32Array[]];
    for (const [i, what] of ["y", "dx"].entries()) {
      for (const [half, [from, to]] of halves.entries()) {
        expectClose(what, results[half]![i]!, columns(expected[i]!, from, to), 1e-4);
      }
    }
    expectClose(
      "dw",
      left[2]!.map((value, i) => value + right[2]![i]!),
      expected[2]!,
      1e-4,
    );
    for (const half of [left, right]) {
      expectClose("mean", half[3]!, expected[3]!, 1e-6);
      expectClose("variance", half[4]!, expected[4]!, 1e-5);
    }
  });
});

test("in use nothing changes", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([1, 3], Float32Array.of(5, 6, 7));
  const mean = tape.input([1], Float32Array.of(5)).keep();
  const variance = tape.input([1], Float32Array.of(4)).keep();
  const y = await batchNorm(x, { mean, variance }, { training: false, epsilon: 0 }).read();
  expect(y).toEqual(Float32Array.of(0, 0.5, 1));
  expect([...(await mean.read()), ...(await variance.read())]).toEqual([5, 4]);
});

test("a scale that is frozen leaves the other gradients", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([1, 2], Float32Array.of(1, 3), { requiresGrad: true });
  const [scale, mean, variance] = [2, 0, 1].map((value) => tape.input([1], Float32Array.of(value)));
  const y = batchNorm(x, { scale, mean: mean!, variance: variance! }, { training: false, epsilon: 0 }).keep();
  tape.backward(seedGradient(y, Float32Array.of(1, 10)));
  expect(await x.grad!.read()).toEqual(Float32Array.of(2, 20));
  expect(scale!.grad).toBeUndefined();
});

test.each([
  [[2, 3], [5], true, {}, "batchNorm: input 2 × 3, mean 5: need a number for each map"],
  [[3, 1], [3], true, {}, "input 3 × 1 has one number for each map, which has no variance: use a larger batch"],
  [[3, 2], [3], true, { momentum: 2 }, "batchNorm: momentum is 2, must be a finite number from 0 to 1"],
  [[3, 2], [3], true, { epsilon: -1 }, "batchNorm: epsilon is -1"],
] as const)("%p with %p", (shape, maps, training, others, message) => {
  const tape = new Tape(openReference());
  const x = tape.input(shape, new Float32Array(shape[0] * shape[1]));
  const mean = tape.input(maps, new Float32Array(maps[0]));
  const variance = tape.input(maps, new Float32Array(maps[0]));
  expect(() => batchNorm(x, { mean, variance }, { training, ...others })).toThrow(message);
});
