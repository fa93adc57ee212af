/** For every kernel, the sizes and inputs that the tests and the doctor try it with: 1, primes, and no multiple of a tile. */
import type { Backend, HostArray } from "../../engine/backend.ts";
import type { Kernel, Workgroups } from "../../engine/kernel.ts";
import { reluBackward, reluForward, tanhBackward, tanhForward } from "../../engine/ops/activation.ts";
import { addBackward, addForward } from "../../engine/ops/add.ts";
import { augmentKernel, VIEW, VIEW_LENGTH } from "../../engine/ops/augment.ts";
import { conv2dBackwardW, conv2dBackwardX, conv2dForward } from "../../engine/ops/conv2d.ts";
import { dropoutKernel } from "../../engine/ops/dropout.ts";
import {
  linearBackwardW,
  linearBackwardX,
  linearBackwardXNarrow,
  linearForward,
  linearForwardNarrow,
} from "../../engine/ops/linear.ts";
import { local2dBackwardW, local2dBackwardX, local2dForward } from "../../engine/ops/local2d.ts";
import { lrnBackward, lrnForward } from "../../engine/ops/lrn.ts";
import { mapNormBackward, mapNormForward } from "../../engine/ops/map_norm.ts";
import { averagePoolBackward, averagePoolForward, maxPoolBackward, maxPoolForward } from "../../engine/ops/pool.ts";
import { rowSum } from "../../engine/ops/row_sum.ts";
import { sgdKernel } from "../../engine/ops/sgd.ts";
import { positions } from "../../engine/ops/shapes.ts";
import { crossEntropyBackward, crossEntropyForward, crossEntropyMean } from "../../engine/ops/softmax_cross_entropy.ts";
import { sumParts } from "../../engine/ops/split.ts";
import {
  winograd3Input,
  winograd3Output,
  winograd3Weights,
  winograd5Input,
  winograd5Output,
  winograd5Weights,
} from "../../engine/ops/winograd.ts";
import { addKernel } from "../../engine/tape.ts";
import { Purpose, Random } from "../../random.ts";
import type { KernelCase } from "./kernel_check.ts";
import { nanCases } from "./kernel_nan_cases.ts";
import { randomArray } from "./numbers.ts";

/**
 * Few roundings of 2⁻²⁴ = 6e-8 each: element by element, or sums of a window. exp, log, pow and tanh are worse in the
 * drivers (WGSL allows exp at 1 an error of 5 units in the last place, and pow inherits exp2 and log2).
 */
const ELEMENT = 2e-6;
/** Mesa computes tanh near 0 as a difference of two numbers near 1, each rounded. */
const TANH = 1e-5;
/** Sums of up to some thousand products, whose roundings add up like a random walk, and in another order. */
const SUM = 4e-6;

const cases: KernelCase[] = [];

/** Adds a case. f32 uniforms are rounded first, since it is the kernel that is tested. */
function add<B extends string, U extends string>(
  kernel: Kernel<B, U>,
  tolerance: number,
  uniforms: Readonly<Record<U, number>>,
  buffers: Readonly<Record<B, HostArray | number>>,
): void {
  const own: Record<string, number> = {};
  for (const name in kernel.uniforms) {
    own[name] = kernel.uniforms[name] === "f32" ? Math.fround(uniforms[name]) : uniforms[name];
  }
  const title = Object.entries(own).map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`);
  cases.push({ kernel: kernel as unknown as Kernel, title: title.join(", "), buffers, uniforms: own, tolerance });
}

let seed = 0;
/** Numbers in ±scale. */
const random = (length: number, scale = 1): Float32Array => randomArray([length], ++seed).map((v) => v * scale);
/** Numbers in 1 … 2, as the s of a normalisation. */
const positive = (length: number): Float32Array => random(length).map((v) => 1.5 + v / 2);
/** Whole numbers below `end`. */
function integers(length: number, end: number): Uint32Array {
  const stream = new Random(++seed, Purpose.drawing);
  return Uint32Array.from({ length }, () => stream.integer(end));
}

// One thread an element. The first size is more than 65,535 workgroups of 64: the line is folded into two.
for (const size of [65_535 * 64 + 65, 1, 2, 63, 64, 65, 1009]) {
  add(addKernel, ELEMENT, { size }, { x: random(size), y: random(size) });
  add(addForward, ELEMENT, { size }, { a: random(size), b: random(size), y: size });
  add(addBackward, 0, { size }, { dy: random(size), dx: size });
  add(reluForward, 0, { size }, { x: random(size), y: size });
}
const special = [NaN, Infinity, -Infinity, 0, -0, 1e-30, -1e30];
add(reluForward, 0, { size: 7 }, { x: Float32Array.from(special), y: 7 });
add(tanhForward, TANH, { size: 7 }, { x: Float32Array.from(special), y: 7 });
for (const size of [1, 65, 1009]) {
  add(reluBackward, 0, { size }, { y: random(size).map((v) => Math.max(0, v)), dy: random(size), dx: size });
  // ±200: e^200 is more than a float32 holds.
  for (const scale of [0.1, 3, 200]) add(tanhForward, TANH, { size }, { x: random(size, scale), y: size });
  add(tanhBackward, ELEMENT, { size }, { y: random(size), dy: random(size), dx: size });
  add(
    sgdKernel,
    ELEMENT,
    { size, rate: 0.01, momentum: 0.9, decay: 0.0005 },
    { w: random(size), v: random(size, 0.1), dw: random(size) },
  );
  // keep 0.5, so that the multiplication is exact and the mask must be.
  const [key0, key1, threshold] = [0xdeadbeef, size, 2 ** 31];
  const all = { images: size, first: 0, whole: size };
  add(dropoutKernel, 0, { size, ...all, key0, key1, threshold, scale: 2 }, { x: random(size), y: size });
}
// Some of the images of a batch; 61 × 299 elements are more than a worker takes at once.
for (const [rows, images, first, whole] of [
  [5, 3, 4, 11],
  [61, 299, 299, 598],
] as const) {
  const size = rows * images;
  const mask = { key0: 3, key1: 9, threshold: 2 ** 31, scale: 2 };
  add(dropoutKernel, 0, { size, images, first, whole, ...mask }, { x: random(size), y: size });
}
add(
  dropoutKernel,
  ELEMENT,
  {
    ...{ size: 5003, images: 1, first: 0, whole: 1 },
    ...{ key0: 7, key1: 2 ** 32 - 1, threshold: 0.9 * 2 ** 32 - 0.4, scale: 1 / 0.9 },
  },
  {
    x: random(5003),
    y: 5003,
  },
);

for (const [rows, columns] of [
  [65_537, 2],
  [1, 1],
  [3, 2],
  [7, 255],
  [2, 256],
  [5, 257],
  [3, 70_001],
] as const) {
  add(rowSum, SUM, { rows, columns }, { x: random(rows * columns), y: rows });
}

for (const [size, count, accumulate] of [
  [1, 1, 0],
  [65, 2, 1],
  [1009, 7, 0],
] as const) {
  add(sumParts, ELEMENT, { size, count, accumulate }, { parts: random(count * size), y: random(size) });
}

for (const [images, side, crop] of [
  [1, 1, 1],
  [1, 5, 5],
  [3, 9, 7],
  [65, 6, 5],
] as const) {
  const uniforms = { images, side, crop };
  const stream = new Random(++seed, Purpose.drawing);
  /** From where to where: two whole numbers in order, at least one apart. */
  const range = (end: number) => {
    const start = stream.integer(end);
    return [start, start + 1 + stream.integer(end - start)] as const;
  };
  const box = () => {
    const [[top, bottom], [left, right]] = [range(crop), range(crop)];
    return [top, left, bottom, right];
  };
  const usual = () => [
    ...[stream.integer(side - crop + 1), stream.integer(side - crop + 1), stream.integer(2), 1 / 128],
    ...random(3, 9),
  ];
  const rest = new Array<number>(VIEW_LENGTH - VIEW.extended - 1).fill(NaN);
  const extended = () => {
    const [[top, bottom], [left, right]] = [range(side), range(side)];
    return [
      ...[top, left, stream.integer(2), 1 / 128, ...random(3, 9), 1, bottom - top, right - left, ...random(9, 2)],
      ...[...box(), stream.integer(images), [0, 0.3, 1][stream.integer(3)]!, ...box(), NaN, NaN, NaN],
    ];
  };
  // Usual views, extended ones, and those of a batch that has both.
  const kinds = [() => [...usual(), 0, ...rest], extended];
  for (const kind of [(_: number) => 0, () => 1, (n: number) => n % 2]) {
    add(augmentKernel, ELEMENT, uniforms, {
      pixels: Uint8Array.from(integers(images * side * side * 3, 256)),
      views: Float32Array.from(Array.from({ length: images }, (_, n) => kinds[kind(n)]!()).flat()),
      mean: random(side * side * 3, 20).map((v) => v + 110),
      x: 3 * crop * crop * images,
    });
  }
}

// maps, plane, groupMaps, reach
for (const [maps, plane, groupMaps, reach] of [
  [1, 1, 1, 2],
  [5, 65, 5, 2],
  [6, 33, 3, 2],
  [96, 7, 48, 2],
  [7, 70, 7, 9],
] as const) {
  const uniforms = { maps, plane, groupMaps, reach, k: 2, alpha: 0.3, beta: 0.75 };
  const size = maps * plane;
  add(lrnForward, ELEMENT, uniforms, { x: random(size, 3), y: size, s: size });
  add(lrnBackward, ELEMENT, uniforms, { x: random(size), s: positive(size), dy: random(size), dx: size });
}

for (const [images, c, h, w, reach] of [
  [1, 1, 1, 1, 0],
  [1, 2, 3, 5, 1],
  [3, 1, 7, 2, 2],
  [65, 3, 4, 5, 4],
] as const) {
  const uniforms = { images, c, h, w, reach, k: 1, alpha: 0.2, beta: 0.75 };
  const size = images * c * h * w;
  add(mapNormForward, ELEMENT, uniforms, { x: random(size, 3), y: size, s: size });
  add(mapNormBackward, ELEMENT, uniforms, { x: random(size), s: positive(size), dy: random(size), dx: size });
}

for (const [images, c, h, w, window, stride, round] of [
  [1, 1, 1, 1, 1, 1, "up"],
  [3, 2, 7, 5, 3, 2, "up"],
  [32, 1, 8, 6, 3, 2, "up"],
  [65, 3, 8, 9, 3, 2, "down"],
  [1, 5, 11, 7, 2, 3, "up"], // pixels that no window holds
  [2, 1, 6, 7, 6, 1, "down"],
  [5, 2, 9, 10, 4, 3, "up"],
  [33, 7, 5, 5, 2, 1, "up"],
] as const) {
  const [oh, ow] = [positions(h, window, stride, 0, round), positions(w, window, stride, 0, round)];
  const uniforms = { images, c, h, w, oh, ow, window, stride };
  const [size, outputs] = [images * c * h * w, images * c * oh * ow];
  // Five different values only: the first of equal pixels must win.
  const x = Float32Array.from(integers(size, 5), (v) => v - 2);
  const argmax = new Uint32Array(outputs);
  maxPoolForward.reference({ x, y: new Float32Array(outputs), argmax }, uniforms);
  add(maxPoolForward, 0, uniforms, { x, y: outputs, argmax: outputs });
  add(maxPoolBackward, ELEMENT, uniforms, { dy: random(outputs), argmax, dx: size });
  add(averagePoolForward, ELEMENT, uniforms, { x: random(size), y: outputs });
  add(averagePoolBackward, ELEMENT, uniforms, { dy: random(outputs), dx: size });
}

for (const [classes, images, valid, scale] of [
  [1, 1, 1, 1],
  [2, 3, 2, 1],
  [10, 65, 64, 200],
  [1000, 5, 5, 8],
] as const) {
  const size = classes * images;
  const labels = integers(images, classes);
  // Every number several times, for the ranks of ties.
  const z = Float32Array.from(integers(size, 7), (v) => ((v - 3) / 3) * scale);
  const p = random(size).map((v) => Math.abs(v));
  // As in the paper, then with smoothed labels of images of which one in three is mixed with another of its class.
  for (const smoothing of [0, 0.1]) {
    const uniforms = { classes, images, valid, smoothing };
    const mixed = {
      others: smoothing === 0 ? labels : labels.map((label, n) => (n % 3 === 0 ? label : (label + n) % classes)),
      shares: random(images).map((v) => (smoothing === 0 ? NaN : Math.abs(v))),
    };
    add(crossEntropyForward, ELEMENT, uniforms, { z, labels, ...mixed, p: size, losses: images, ranks: images });
    add(crossEntropyBackward, ELEMENT, uniforms, { p, labels, ...mixed, dloss: Float32Array.of(0.7), dz: size });
  }
}
for (const [images, valid] of [
  [1, 1],
  [65, 64],
  [300, 256],
  [257, 3],
] as const) {
  const losses = random(images).map((v, n) => (n < valid ? Math.abs(v) : 0));
  add(crossEntropyMean, ELEMENT, { images, valid }, { losses, loss: 1 });
}

for (const [outputs, inputs, images] of [
  [1, 1, 1],
  [1, 17, 3],
  [65, 1, 1],
  [10, 129, 32],
  [67, 131, 65],
  [128, 64, 128],
  [3, 1500, 2],
  [64, 16, 130],
  [5, 1031, 4],
  [130, 67, 16],
  [1031, 64, 5],
  // For the variants: multiples of 4, but not of a tile.
  [1, 4, 4],
  [5, 12, 4],
  [130, 268, 132],
  [131, 263, 20],
] as const) {
  const uniforms = { outputs, inputs, images };
  const [w, x, dy, b] = [random(outputs * inputs), random(inputs * images), random(outputs * images), random(outputs)];
  add(linearForwardNarrow, SUM, uniforms, { w, x, b, y: outputs * images });
  // The last of several splits has fewer terms, or none.
  for (const splits of [1, 2, 7])
    add(linearForward, SUM, { ...uniforms, splits }, { w, x, b, y: splits * outputs * images });
  add(linearBackwardW, SUM, uniforms, { x, dy, dw: outputs * inputs });
  for (const accumulate of [0, 1]) {
    const dx = accumulate ? random(inputs * images) : new Float32Array(inputs * images).fill(NaN);
    add(linearBackwardXNarrow, SUM, { ...uniforms, accumulate }, { w, dy, dx });
    add(linearBackwardX, SUM, { ...uniforms, accumulate, splits: 1 }, { w, dy, dx });
  }
  for (const splits of [2, 7]) {
    add(linearBackwardX, SUM, { ...uniforms, accumulate: 0, splits }, { w, dy, dx: splits * inputs * images });
  }
}

for (const [images, c, h, w, o, kh, kw, stride, pad, groups] of [
  [1, 1, 1, 1, 1, 1, 1, 1, 0, 1],
  [3, 3, 23, 27, 5, 11, 11, 4, 0, 1], // conv1
  [32, 6, 7, 7, 10, 5, 5, 1, 2, 2], // conv2
  [65, 9, 5, 3, 6, 3, 3, 1, 1, 3],
  [1, 7, 9, 8, 13, 3, 2, 2, 1, 1],
  [2, 70, 4, 5, 67, 3, 3, 1, 1, 1], // more than a tile of filters, and of maps
  [1, 140, 3, 3, 130, 3, 3, 1, 1, 2],
  [3, 2, 3, 3, 4, 5, 5, 1, 1, 1], // the image is smaller than the window
  [5, 2, 8, 11, 3, 2, 2, 3, 0, 1], // pixels that no window holds
  [3, 17, 3, 5, 19, 1, 1, 1, 0, 1],
  [2, 2, 3, 25, 3, 1, 19, 1, 2, 1],
  [129, 1, 6, 8, 2, 3, 3, 2, 0, 1], // the last row and column are left over
  [1, 4, 14, 13, 8, 7, 5, 4, 2, 2],
  // For the variants, which take four images at once: more than a tile of filters, of maps, of outputs; each of a kind.
  [4, 1, 1, 1, 1, 1, 1, 1, 0, 1],
  [4, 3, 23, 27, 5, 11, 11, 4, 0, 1],
  [12, 6, 7, 5, 10, 5, 5, 1, 2, 2],
  [4, 130, 4, 5, 133, 3, 3, 1, 1, 1],
  [20, 98, 3, 2, 106, 3, 1, 1, 1, 2],
  [8, 5, 8, 11, 3, 2, 2, 3, 0, 1],
  [132, 3, 3, 4, 7, 3, 3, 2, 1, 1],
  [4, 17, 3, 5, 19, 1, 1, 1, 0, 1],
] as const) {
  const [oh, ow] = [positions(h, kh, stride, pad, "down"), positions(w, kw, stride, pad, "down")];
  const uniforms = { images, c, h, w, o, oh, ow, kh, kw, stride, pad, groups };
  const taps = (c / groups) * kh * kw;
  const [x, dy, weights] = [random(c * h * w * images), random(o * oh * ow * images), random(o * taps)];
  add(conv2dForward, SUM, uniforms, { x, w: weights, b: random(o), y: dy.length });
  add(conv2dBackwardX, SUM, uniforms, { w: weights, dy, dx: x.length });
  for (const splits of [1, 2, 5]) {
    add(conv2dBackwardW, SUM, { ...uniforms, splits }, { x, dy, dw: splits * weights.length });
  }
  if (groups > 1 || c > 50) continue;
  const own = random(o * oh * ow * taps);
  add(local2dForward, SUM, uniforms, { x, w: own, b: random(o * oh * ow), y: dy.length });
  add(local2dBackwardX, SUM, uniforms, { w: own, dy, dx: x.length });
  add(local2dBackwardW, SUM, uniforms, { x, dy, dw: own.length });
}

for (const [window, input, weights, output] of [
  [3, winograd3Input, winograd3Weights, winograd3Output],
  [5, winograd5Input, winograd5Weights, winograd5Output],
] as const) {
  const positions = (window + 3) ** 2;
  for (const [images, maps, h, w, pad, groups, other] of [
    [1, 1, 1, 1, window >> 1, 1, 1],
    [3, 4, 7, 10, 0, 2, 3],
    [65, 2, 4, 5, 2, 1, 5],
  ] as const) {
    const [oh, ow] = [h + 2 * pad - window + 1, w + 2 * pad - window + 1];
    const [th, tw] = [Math.ceil(oh / 4), Math.ceil(ow / 4)];
    const [outputs, size] = [maps * oh * ow * images, maps * th * tw * images];
    const x = random(maps * h * w * images);
    add(input, SUM, { images, c: maps, h, w, pad, th, tw }, { x, patches: positions * size });
    for (const biased of [0, 1]) {
      const given = { products: random(positions * size), b: random(maps), y: outputs };
      add(output, SUM, { images, o: maps, oh, ow, th, tw, biased }, given);
    }
    for (const turned of [0, 1]) {
      const windows = maps * other;
      const given = { w: random(window ** 2 * windows), filters: positions * windows };
      add(weights, ELEMENT, { groups, terms: maps / groups, rows: other, turned }, given);
    }
  }
}

// The tiles of the columns folded into three lines, as a dispatch has to when one would be too long.
{
  const uniforms = { images: 33, c: 4, h: 5, w: 3, o: 6, oh: 5, ow: 3, kh: 3, kw: 3, stride: 1, pad: 1, groups: 2 };
  const folded = { workgroups: (): Workgroups => [Math.ceil((33 * 5 * 3) / 64 / 3), 1, 3 * 2] };
  const [x, dy, w] = [random(33 * 4 * 5 * 3), random(33 * 6 * 5 * 3), random(6 * 2 * 3 * 3)];
  add({ ...conv2dForward, ...folded, variants: [] }, SUM, uniforms, { x, w, b: random(6), y: dy.length });
  add({ ...conv2dBackwardX, ...folded, variants: [] }, SUM, uniforms, { w, dy, dx: x.length });
}

export const kernelCases: readonly KernelCase[] = [...cases, ...nanCases(cases)];

/** What a backend is tried at: all, but that the cpu never splits sums (`needsSplitting`). */
export function casesOf(kind: Backend["kind"]): readonly KernelCase[] {
  return kind === "wgpu" ? kernelCases : kernelCases.filter(({ uniforms }) => (uniforms.splits ?? 1) === 1);
}
