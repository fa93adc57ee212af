/**
 * The CPU's kernels with other numbers of threads than test/kernels.test.ts has, and at sizes that cross the borders of
 * their own items and blocks.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { openCpu } from "../../src/devices/cpu/backend.ts";
import { directKernels } from "../../src/devices/cpu/kernels/direct.ts";
import { cpuKernels } from "../../src/devices/cpu/kernels/index.ts";
import type { HostArray } from "../../src/engine/backend.ts";
import type { KernelCase } from "../../src/engine/cases.ts";
import { access, type Kernel } from "../../src/engine/kernel.ts";
import { casesOf } from "../../src/engine/ops/cases.ts";
import { conv2dBackwardW, conv2dBackwardX, conv2dForward } from "../../src/engine/ops/conv2d.ts";
import { dropoutKernel } from "../../src/engine/ops/dropout.ts";
import { depthwiseBackwardW, depthwiseBackwardX, depthwiseForward } from "../../src/engine/ops/later/depthwise.ts";
import { linearBackwardW, linearBackwardX, linearForward } from "../../src/engine/ops/linear.ts";
import { lrnBackward, lrnForward } from "../../src/engine/ops/lrn.ts";
import { rowSum } from "../../src/engine/ops/row_sum.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";
import { checkCase } from "../../src/verbs/doctor/kernel_check.ts";
import { randomArray } from "../support/data.ts";
import { expectedOnce } from "../support/expected.ts";

/** Sums of some thousand products. */
const TOLERANCE = 1e-5;

/** Items take 16,384 elements, or 256 positions of a plane; sums are taken 4,096 elements at a time. */
const cases: KernelCase[] = [
  own(accumulateKernel, { size: 40_001 }, { x: 40_001, y: 40_001 }),
  own(
    dropoutKernel,
    { size: 40_001, images: 1, first: 0, whole: 1, key0: 0xdeadbeef, key1: 7, threshold: 0xb0000000, scale: 1.5 },
    { x: 40_001, y: 40_001 },
  ),
  own(rowSum, { rows: 3, columns: 9_001 }, { x: 27_003, y: 3 }),
  ...[0.75, 0.6].flatMap((beta) => {
    const uniforms = { maps: 7, plane: 517, groupMaps: 7, reach: 2, k: 2, alpha: 0.5, beta };
    const size = 7 * 517;
    return [
      own(lrnForward, uniforms, { x: size, y: size }),
      own(lrnBackward, { ...uniforms, activation: 0 }, { x: size, dy: size, dx: size }),
    ];
  }),
  ...[1, 2].flatMap((stride) => depthwise(32, 7, 30, stride)),
  ...linear(131, 301, 5),
  ...linear(67, 37, 1),
  // several blocks of columns; then of rows, 576 at a time
  ...convolution({ images: 130, c: 10, h: 6, w: 5, o: 17, kh: 3, kw: 3, stride: 1, pad: 1, groups: 1 }),
  ...convolution({ images: 5, c: 140, h: 7, w: 6, o: 9, kh: 3, kw: 3, stride: 2, pad: 1, groups: 1 }),
  ...convolution({ images: 13, c: 4, h: 7, w: 9, o: 6, kh: 5, kw: 3, stride: 1, pad: 2, groups: 2 }),
  ...convolution({ images: 5, c: 3, h: 23, w: 19, o: 7, kh: 11, kw: 11, stride: 4, pad: 0, groups: 1 }),
  ...convolution({ images: 1, c: 2, h: 3, w: 3, o: 5, kh: 5, kw: 5, stride: 1, pad: 4, groups: 1 }),
  ...convolution({ images: 2, c: 2, h: 9, w: 8, o: 2, kh: 2, kw: 1, stride: 3, pad: 0, groups: 2 }),
  // by Winograd's minimal filtering: several blocks of tiles and of images, tiles that reach beyond the border, groups
  ...convolution({ images: 16, c: 16, h: 13, w: 13, o: 20, kh: 3, kw: 3, stride: 1, pad: 1, groups: 1 }),
  ...convolution({ images: 20, c: 34, h: 5, w: 10, o: 36, kh: 3, kw: 3, stride: 1, pad: 0, groups: 2 }),
  ...convolution({ images: 132, c: 17, h: 6, w: 3, o: 16, kh: 3, kw: 3, stride: 1, pad: 2, groups: 1 }),
  ...convolution({ images: 16, c: 32, h: 7, w: 6, o: 38, kh: 5, kw: 5, stride: 1, pad: 2, groups: 2 }),
  ...convolution({ images: 140, c: 16, h: 5, w: 3, o: 18, kh: 5, kw: 5, stride: 1, pad: 4, groups: 1 }),
  // fewer blocks than threads: they divide the output maps
  ...convolution({ images: 16, c: 65, h: 4, w: 3, o: 70, kh: 3, kw: 3, stride: 1, pad: 1, groups: 1 }),
  // not the two that take the reference loops seconds
  ...casesOf("cpu").filter(({ buffers }) => Object.values(buffers).every((given) => length(given) < 1_000_000)),
];

function own<B extends string, U extends string>(
  kernel: Kernel<B, U>,
  uniforms: Readonly<Record<U, number>>,
  buffers: Readonly<Record<B, number | HostArray>>,
): KernelCase {
  const filled: Record<string, HostArray | number> = { ...buffers };
  for (const [i, name] of Object.keys(kernel.buffers).entries()) {
    const given = buffers[name as B];
    if (access(kernel.buffers[name as B]) !== "write" && typeof given === "number") {
      filled[name] = randomArray([given], i + 1);
    }
  }
  const title = JSON.stringify(uniforms);
  return { kernel: kernel as unknown as Kernel, title, buffers: filled, uniforms, tolerance: TOLERANCE };
}

function linear(outputs: number, inputs: number, images: number): KernelCase[] {
  const uniforms = { outputs, inputs, images };
  const [w, x, y] = [outputs * inputs, inputs * images, outputs * images];
  return [
    own(linearForward, { ...uniforms, splits: 1 }, { w, x, b: outputs, y }),
    own(linearBackwardX, { ...uniforms, accumulate: 0, splits: 1 }, { w, dy: y, dx: x }),
    own(linearBackwardX, { ...uniforms, accumulate: 1, splits: 1 }, { w, dy: y, dx: x }),
    own(linearBackwardW, uniforms, { x, dy: y, dw: w }),
  ];
}

/** Windows of 3 × 3, padded by 1. */
function depthwise(images: number, c: number, side: number, stride: number): KernelCase[] {
  const oh = Math.ceil(side / stride);
  const uniforms = { images, c, h: side, w: side, oh, ow: oh, kh: 3, kw: 3, stride, pad: 1 };
  const [x, weights, y] = [images * c * side ** 2, 9 * c, images * c * oh ** 2];
  return [
    own(depthwiseForward, { ...uniforms, scaled: stride - 1, activation: stride }, { x, weights, s: c, b: c, y }),
    own(depthwiseBackwardX, uniforms, { weights, dy: y, dx: x }),
    own(depthwiseBackwardW, { ...uniforms, splits: 1 }, { x, dy: y, dw: weights }),
  ];
}

interface Convolution {
  readonly images: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly o: number;
  readonly kh: number;
  readonly kw: number;
  readonly stride: number;
  readonly pad: number;
  readonly groups: number;
}

function convolution(u: Convolution): KernelCase[] {
  const oh = Math.floor((u.h + 2 * u.pad - u.kh) / u.stride) + 1;
  const ow = Math.floor((u.w + 2 * u.pad - u.kw) / u.stride) + 1;
  const uniforms = { ...u, oh, ow };
  const [x, w, y] = [u.images * u.c * u.h * u.w, (u.o * u.c * u.kh * u.kw) / u.groups, u.images * u.o * oh * ow];
  return [
    own(conv2dForward, { ...uniforms, scaled: u.c % 2, activation: u.images % 2 }, { x, w, s: u.o, b: u.o, y }),
    own(conv2dBackwardX, uniforms, { w, dy: y, dx: x }),
    own(conv2dBackwardW, { ...uniforms, splits: 1 }, { x, dy: y, dw: w }),
  ];
}

function length(given: HostArray | number): number {
  return typeof given === "number" ? given : given.length;
}

test("every kernel of the backend has a case", () => {
  const covered = new Set(cases.map(({ kernel }) => kernel.name));
  // "copy" is the queue's own: writes and reads of a busy backend go through it
  expect([...cpuKernels.keys()].filter((name) => name !== "copy" && !covered.has(name))).toEqual([]);
});

describe("WebAssembly's function has the parameters that its kernel declares", () => {
  const folder = new URL("../../kernels/wasm/", import.meta.url);
  const sources = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));
  const functions = new Map(
    [...sources.join("").matchAll(/^export function (\w+)\(([^)]*)\)/gm)].map(([, name, list]) => [
      name!.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      [...list!.matchAll(/(\w+): (\w+)/g)].map((match) => ({ name: match[1]!, type: match[2]! })),
    ]),
  );
  /** What the host gives as each: addresses, whole numbers, and others. */
  const TYPES = { buffer: ["usize"], u32: ["i32", "u32"], f32: ["f32", "f64"] };
  const declared = new Map(cases.map(({ kernel }) => [kernel.name, kernel]));

  test.each(
    directKernels.flatMap(({ name }) => declared.get(name) ?? []).map((kernel) => [kernel.name, kernel] as const),
  )("%s", (name, { buffers, uniforms }) => {
    const given = functions.get(name)!;
    const range = given[0]!.name === "item" ? ["item"] : ["start", "count"];
    const expected = [
      ...range.map((each) => ({ name: each, types: TYPES.u32 })),
      ...Object.keys(buffers).map((buffer) => ({ name: buffer, types: TYPES.buffer })),
      ...Object.entries(uniforms).map(([uniform, type]) => ({ name: uniform, types: TYPES[type] })),
    ];
    const own = given.slice(0, expected.length);
    expect(own.map((parameter) => parameter.name)).toEqual(expected.slice(0, own.length).map((each) => each.name));
    expect(own.filter(({ type }, i) => !expected[i]!.types.includes(type))).toEqual([]);
    // Workspace, which the kernel does not declare.
    expect(given.slice(expected.length).map(({ type }) => type)).toEqual(
      given.length > expected.length ? ["usize"] : [],
    );
  });
});

for (const blas of [true, false]) {
  for (const threads of [1, 3]) {
    describe(`${threads} threads, ${blas ? "BLAS if there is one" : "WebAssembly"}`, async () => {
      const backend = await openCpu({ threads, blas });
      afterAll(() => backend.close());
      test.each(cases.map((each) => [each.kernel.name, each.title, each] as const))("%s %s", async (_, __, each) => {
        const tolerance = each.tolerance && Math.max(each.tolerance, TOLERANCE);
        expect(await checkCase(backend, { ...each, tolerance }, await expectedOnce(each))).toBeUndefined();
      });
    });
  }
}
