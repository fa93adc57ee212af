/**
 * Every kernel that the CPU backend computes by itself, against its reference loop: odd sizes, one to three threads,
 * with and without BLAS.
 */
import { afterAll, describe, expect, test } from "bun:test";
import type { Backend, Buffer, HostArray } from "../../src/backends/backend.ts";
import { openCpu } from "../../src/backends/cpu/backend.ts";
import { cpuKernels } from "../../src/backends/cpu/kernels/index.ts";
import { elementType, type Elements, type Kernel } from "../../src/backends/kernel.ts";
import { addKernel } from "../../src/autograd/tape.ts";
import { reluBackward, reluForward, tanhBackward, tanhForward } from "../../src/ops/activation.ts";
import { augmentKernel, VIEW_LENGTH } from "../../src/ops/augment.ts";
import { conv2dBackwardW, conv2dBackwardX, conv2dForward } from "../../src/ops/conv2d.ts";
import { dropoutKernel } from "../../src/ops/dropout.ts";
import { linearBackwardW, linearBackwardX, linearForward } from "../../src/ops/linear.ts";
import { local2dBackwardW, local2dBackwardX, local2dForward } from "../../src/ops/local2d.ts";
import { lrnBackward, lrnForward } from "../../src/ops/lrn.ts";
import { mapNormBackward, mapNormForward } from "../../src/ops/map_norm.ts";
import { averagePoolBackward, averagePoolForward, maxPoolBackward, maxPoolForward } from "../../src/ops/pool.ts";
import { rowSum } from "../../src/ops/row_sum.ts";
import { sgdKernel } from "../../src/ops/sgd.ts";
import { Purpose, Random } from "../../src/random.ts";

/** One call of a kernel: the length of each buffer, or its contents where random numbers won't do. */
interface Case {
  readonly kernel: Kernel;
  readonly uniforms: Readonly<Record<string, number>>;
  readonly buffers: Readonly<Record<string, number | HostArray>>;
}

const cases: Case[] = [];

function add<B extends string, U extends string>(
  kernel: Kernel<B, U>,
  uniforms: Readonly<Record<U, number>>,
  buffers: Readonly<Record<B, number | HostArray>>,
): void {
  cases.push({ kernel: kernel as unknown as Kernel, uniforms, buffers });
}

for (const size of [1, 3, 17, 40_001]) {
  add(addKernel, { size }, { x: size, y: size });
  add(reluForward, { size }, { x: size, y: size });
  add(reluBackward, { size }, { y: size, dy: size, dx: size });
  add(tanhForward, { size }, { x: size, y: size });
  add(tanhBackward, { size }, { y: size, dy: size, dx: size });
  add(sgdKernel, { size, rate: 0.01, momentum: 0.9, decay: 0.0005 }, { w: size, v: size, dw: size });
  const keys = { key0: 0xdeadbeef, key1: 7, threshold: 0xb0000000, scale: 1.5 };
  add(dropoutKernel, { size, ...keys }, { x: size, y: size });
}

add(rowSum, { rows: 1, columns: 1 }, { x: 1, y: 1 });
add(rowSum, { rows: 13, columns: 5 }, { x: 65, y: 13 });
add(rowSum, { rows: 3, columns: 9_001 }, { x: 27_003, y: 3 });

for (const [maps, plane, groups, reach, beta] of [
  [1, 1, 1, 2, 0.75],
  [6, 13, 2, 1, 0.75],
  [7, 301, 1, 2, 0.6],
] as const) {
  const uniforms = { maps, plane, groupMaps: maps / groups, reach, k: 2, alpha: 0.5, beta };
  const size = maps * plane;
  add(lrnForward, uniforms, { x: size, y: size, s: size });
  add(lrnBackward, uniforms, { x: size, s: positive(size), dy: size, dx: size });
}

for (const [images, c, h, w, reach, beta] of [
  [1, 1, 1, 1, 1, 0.75],
  [3, 2, 4, 7, 1, 0.75],
  [5, 3, 6, 3, 2, 0.6],
] as const) {
  const uniforms = { images, c, h, w, reach, k: 1, alpha: 0.5, beta };
  const size = images * c * h * w;
  add(mapNormForward, uniforms, { x: size, y: size, s: size });
  add(mapNormBackward, uniforms, { x: size, s: positive(size), dy: size, dx: size });
}

for (const [images, c, h, w, oh, ow, window, stride] of [
  [1, 1, 2, 2, 1, 1, 2, 2],
  [3, 2, 8, 7, 4, 3, 3, 2],
  [13, 3, 9, 11, 3, 4, 3, 3],
  [5, 2, 7, 7, 3, 3, 2, 3],
] as const) {
  const uniforms = { images, c, h, w, oh, ow, window, stride };
  const [x, y] = [images * c * h * w, images * c * oh * ow];
  add(maxPoolForward, uniforms, { x, y, argmax: y });
  const argmax = Uint32Array.from({ length: y }, (_, i) => winner(i, uniforms));
  add(maxPoolBackward, uniforms, { dy: y, argmax, dx: x });
  add(averagePoolForward, uniforms, { x, y });
  add(averagePoolBackward, uniforms, { dy: y, dx: x });
}

for (const [images, c, h, w, o, kh, kw, stride, pad, groups] of [
  [1, 1, 1, 1, 1, 1, 1, 1, 0, 1],
  [1, 3, 13, 11, 4, 3, 3, 1, 1, 1],
  [13, 4, 7, 9, 6, 5, 3, 1, 2, 2],
  [5, 3, 23, 19, 7, 11, 11, 4, 0, 1],
  [3, 2, 10, 11, 3, 3, 4, 2, 1, 1],
  [2, 2, 9, 8, 2, 2, 1, 3, 0, 2],
  [1, 2, 3, 3, 5, 5, 5, 1, 4, 1],
  [130, 9, 6, 5, 17, 3, 3, 1, 1, 1],
] as const) {
  const oh = Math.floor((h + 2 * pad - kh) / stride) + 1;
  const ow = Math.floor((w + 2 * pad - kw) / stride) + 1;
  const uniforms = { images, c, h, w, o, oh, ow, kh, kw, stride, pad, groups };
  const lengths = { x: images * c * h * w, w: (o * c * kh * kw) / groups, y: images * o * oh * ow };
  add(conv2dForward, uniforms, { x: lengths.x, w: lengths.w, b: o, y: lengths.y });
  add(conv2dBackwardX, uniforms, { w: lengths.w, dy: lengths.y, dx: lengths.x });
  add(conv2dBackwardW, uniforms, { x: lengths.x, dy: lengths.y, dw: lengths.w });
  if (groups > 1) continue;
  const weights = o * oh * ow * c * kh * kw;
  add(local2dForward, uniforms, { x: lengths.x, w: weights, b: o * oh * ow, y: lengths.y });
  add(local2dBackwardX, uniforms, { w: weights, dy: lengths.y, dx: lengths.x });
  add(local2dBackwardW, uniforms, { x: lengths.x, dy: lengths.y, dw: weights });
}

for (const [outputs, inputs, images] of [
  [1, 1, 1],
  [10, 7, 1],
  [131, 37, 5],
  [67, 301, 13],
] as const) {
  const uniforms = { outputs, inputs, images };
  const lengths = { w: outputs * inputs, x: inputs * images, y: outputs * images };
  add(linearForward, uniforms, { w: lengths.w, x: lengths.x, b: outputs, y: lengths.y });
  for (const accumulate of [0, 1]) {
    add(linearBackwardX, { ...uniforms, accumulate }, { w: lengths.w, dy: lengths.y, dx: lengths.x });
  }
  add(linearBackwardW, uniforms, { x: lengths.x, dy: lengths.y, dw: lengths.w });
}

for (const [images, side, crop] of [
  [1, 3, 3],
  [19, 9, 5],
] as const) {
  const random = new Random(1, Purpose.augment);
  const views = new Float32Array(images * VIEW_LENGTH).map(() => random.normal());
  for (let n = 0; n < images; n++) {
    const where = [random.integer(side - crop + 1), random.integer(side - crop + 1), n % 2, 0.25];
    views.set(where, n * VIEW_LENGTH);
  }
  const pixels = Uint8Array.from({ length: images * side * side * 3 }, () => random.integer(256));
  add(augmentKernel, { images, side, crop }, { pixels, views, mean: side * side * 3, x: images * 3 * crop * crop });
}

test("every kernel of the backend has a case", () => {
  const covered = new Set(cases.map(({ kernel }) => kernel.name));
  // "copy" is the queue's own: writes and reads of a busy backend go through it
  expect([...cpuKernels.keys()].filter((name) => name !== "copy" && !covered.has(name))).toEqual([]);
});

for (const blas of [true, false]) {
  for (const threads of [1, 2, 3]) {
    describe(`${threads} threads, ${blas ? "BLAS if there is one" : "WebAssembly"}`, async () => {
      const backend = await openCpu({ threads, blas });
      afterAll(() => backend.close());
      for (const { kernel, uniforms, buffers } of cases) {
        test(`${kernel.name} ${JSON.stringify(uniforms)}`, () => compare(backend, kernel, uniforms, buffers));
      }
    });
  }
}

async function compare(backend: Backend, kernel: Kernel, uniforms: Case["uniforms"], buffers: Case["buffers"]) {
  const expected: Record<string, Elements> = {};
  const device: Record<string, Buffer> = {};
  for (const [i, name] of Object.keys(kernel.buffers).entries()) {
    const data = contents(kernel, name, buffers[name]!, i);
    // in 64 bits, so that only the backend's rounding shows
    expected[name] = data instanceof Float32Array ? Float64Array.from(data) : data.slice();
    device[name] = backend.allocate(elementType(kernel.buffers[name]!), data.length);
    backend.write(device[name], data);
  }
  kernel.reference(expected, uniforms);
  backend.run(kernel, device, uniforms);
  for (const name in device) {
    const actual = await backend.read(device[name]!);
    let worst = 0;
    const scale = Math.max(1, ...Array.from(expected[name] as HostArray, Math.abs).slice(0, 1000));
    for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i]! - expected[name]![i]!) / scale);
    expect(`${name} differs by ${worst > 2e-5 || Number.isNaN(worst) ? worst : 0}`).toBe(`${name} differs by 0`);
    backend.free(device[name]!);
  }
}

function contents(kernel: Kernel, name: string, given: number | HostArray, seed: number): HostArray {
  if (typeof given !== "number") return given;
  const type = elementType(kernel.buffers[name]!);
  if (type === "u32") return new Uint32Array(given).fill(99);
  if (type === "u8") throw new Error(`${kernel.name}: give the bytes of ${name}`);
  const random = new Random(seed, Purpose.weights);
  return Float32Array.from({ length: given }, () => random.normal());
}

function positive(size: number): Float32Array {
  const random = new Random(size, Purpose.weights);
  return Float32Array.from({ length: size }, () => 1 + random.uniform());
}

/** Some pixel inside the window of output element i, as argmax counts them. */
function winner(
  i: number,
  u: { images: number; h: number; w: number; oh: number; ow: number; window: number; stride: number },
) {
  const out = Math.floor(i / u.images);
  const row = Math.min(u.h - 1, (Math.floor(out / u.ow) % u.oh) * u.stride + (i % u.window));
  const column = Math.min(u.w - 1, (out % u.ow) * u.stride + ((i >> 2) % u.window));
  return row * u.w + column;
}
