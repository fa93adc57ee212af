/**
 * Measures a GPU's roof: its peak arithmetic rate and peak memory bandwidth, by the two kernels in roof/*.wgsl. What it
 * needs works in a browser too.
 */
import type { Backend } from "../src/engine/backend.ts";
import { kernel, line } from "../src/engine/kernel.ts";
import { DeviceError } from "../src/errors.ts";
import type { Roof } from "./results.ts";
import copyWgsl from "./roof/copy.wgsl" with { type: "text" };
import fmaWgsl from "./roof/fma.wgsl" with { type: "text" };

/** Repetitions of each measurement, of which the best counts. */
export const ROUNDS = 5;

const roofFma = kernel({
  name: "roof_fma",
  module: import.meta.url,
  wgsl: fmaWgsl,
  buffers: { x: "read", sums: "write" },
  uniforms: { threads: "u32", rounds: "u32" },
  workgroups: ({ threads }) => line(threads, 256),
  reference({ x, sums }, { threads, rounds }) {
    for (let thread = 0; thread < threads; thread++) {
      sums[thread] = 0;
      for (let chain = 0; chain < 8; chain++) {
        let a = (thread & 7) + chain;
        for (let step = 0; step < 8 * rounds; step++) a = a * x[0]! + x[1]!;
        sums[thread]! += 4 * a;
      }
    }
  },
});
const FLOP_PER_ROUND = 8 * 8 * 4 * 2;

const roofCopy = kernel({
  name: "roof_copy",
  module: import.meta.url,
  wgsl: copyWgsl,
  buffers: { x: "read", y: "write" },
  uniforms: { vectors: "u32" },
  workgroups: ({ vectors }) => line(vectors, 256),
  reference({ x, y }, { vectors }) {
    for (let i = 0; i < 4 * vectors; i++) y[i] = x[i]!;
  },
});

/** Far more threads than any GPU runs at once. */
const THREADS = 2 ** 20;
/** Long enough for an accurate measurement. */
const LONG_MS = 30;
/** More than a GPU's caches hold. */
const COPY_BYTES = 2 ** 28;

/** How long the work takes that a function queues, in ms. */
export type Clock = (backend: Backend, work: () => void) => Promise<number>;

/** The device's own, of the one kernel that is queued. */
export const deviceClock: Clock = async (backend, work) => (await backend.profile(work))[0]!.ms;

/**
 * @param copyBytes bytes to copy, if the device binds so many
 * @throws DeviceError when a result is wrong: then no time on this device is meaningful
 */
export async function gpuRoof(backend: Backend, clock = deviceClock, copyBytes = COPY_BYTES): Promise<Roof> {
  return {
    flopsPerSecond: await gpuFlops(backend, clock),
    bytesPerSecond: await gpuBytes(backend, clock, copyBytes),
    how: "a kernel of multiply-adds in registers",
  };
}

async function gpuFlops(backend: Backend, clock: Clock): Promise<number> {
  const [x, sums] = [backend.allocate("f32", 2), backend.allocate("f32", THREADS)];
  try {
    // a ← 1 − a: every step is exact, and an even number of steps is the identity.
    backend.write(x, Float32Array.of(-1, 1));
    let rounds = 4;
    const run = () => clock(backend, () => backend.run(roofFma, { x, sums }, { threads: THREADS, rounds }));
    for (let ms = await run(); ms < LONG_MS && rounds < 2 ** 16; ms = await run()) rounds *= 2;
    const expected = Float32Array.from({ length: 16 }, (_, thread) => 4 * (8 * (thread & 7) + 28));
    requireEqual(backend, "roof_fma", await backend.read(sums, 0, 16), expected);
    const ms = Math.min(...(await repeat(ROUNDS, run)));
    return (1000 * THREADS * rounds * FLOP_PER_ROUND) / ms;
  } finally {
    backend.free(x);
    backend.free(sums);
  }
}

async function gpuBytes(backend: Backend, clock: Clock, copyBytes: number): Promise<number> {
  const bytes = Math.min(copyBytes, backend.limits.bindingBytes, backend.limits.bufferBytes);
  const vectors = Math.floor(bytes / 16);
  const [x, y] = [backend.allocate("f32", 4 * vectors), backend.allocate("f32", 4 * vectors)];
  try {
    const data = Float32Array.from({ length: 4 * vectors }, (_, i) => i);
    backend.write(x, data);
    const copy = () => clock(backend, () => backend.run(roofCopy, { x, y }, { vectors }));
    await copy();
    for (const at of [0, 4 * vectors - 16]) {
      requireEqual(backend, "roof_copy", await backend.read(y, at, 16), data.subarray(at, at + 16));
    }
    const ms = Math.min(...(await repeat(ROUNDS, copy)));
    return (1000 * 32 * vectors) / ms;
  } finally {
    backend.free(x);
    backend.free(y);
  }
}

export async function repeat(times: number, measure: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) all.push(await measure());
  return all;
}

/** @throws DeviceError */
export function requireEqual(
  { description }: Backend,
  kernel: string,
  found: ArrayLike<number>,
  expected: Float32Array,
): void {
  const wrong = expected.findIndex((value, i) => found[i] !== value);
  if (wrong < 0) return;
  throw new DeviceError(
    `${kernel} on ${description}: number ${wrong} is ${found[wrong]}, not ${expected[wrong]}: this device computes wrong results`,
  );
}
