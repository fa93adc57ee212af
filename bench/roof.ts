/**
 * Measures a device's roof: its peak arithmetic rate and peak memory bandwidth.
 *
 * GPU: two kernels in roof/*.wgsl. CPU: all threads at once, each in its own memory (roof/cpu_worker.ts). Its arithmetic
 * is a loop of SIMD multiplications and additions in registers for WebAssembly; for BLAS it is a large product, because
 * no loop written in WebAssembly reaches the processor's own peak. Its bandwidth is that of copies, or of y ← x + y if
 * that is higher: a processor also fetches what a copy overwrites, which is not counted.
 */
import type { Backend } from "../src/engine/backend.ts";
import { kernel, line } from "../src/engine/kernel.ts";
import { accumulateKernel } from "../src/engine/tape.ts";
import { DeviceError } from "../src/errors.ts";
import type { BlasLibrary } from "../src/native/libraries.ts";
import type { Roof } from "./results.ts";
import type { RoofReply, RoofTask } from "./roof/cpu_worker.ts";
import copyWgsl from "./roof/copy.wgsl" with { type: "text" };
import fmaWgsl from "./roof/fma.wgsl" with { type: "text" };

/** Repetitions of each measurement, of which the best counts. */
const ROUNDS = 5;

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

/** @throws DeviceError when a result is wrong: then no time on this device is meaningful */
export async function gpuRoof(backend: Backend): Promise<Roof> {
  return {
    flopsPerSecond: await gpuFlops(backend),
    bytesPerSecond: await gpuBytes(backend),
    how: "a kernel of multiply-adds in registers",
  };
}

async function gpuFlops(backend: Backend): Promise<number> {
  const [x, sums] = [backend.allocate("f32", 2), backend.allocate("f32", THREADS)];
  try {
    // a ← 1 − a: every step is exact, and an even number of steps is the identity.
    backend.write(x, Float32Array.of(-1, 1));
    let rounds = 4;
    const run = () => best(backend, () => backend.run(roofFma, { x, sums }, { threads: THREADS, rounds }));
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

async function gpuBytes(backend: Backend): Promise<number> {
  const bytes = Math.min(COPY_BYTES, backend.limits.bindingBytes, backend.limits.bufferBytes);
  const vectors = Math.floor(bytes / 16);
  const [x, y] = [backend.allocate("f32", 4 * vectors), backend.allocate("f32", 4 * vectors)];
  try {
    const data = Float32Array.from({ length: 4 * vectors }, (_, i) => i);
    backend.write(x, data);
    const copy = () => best(backend, () => backend.run(roofCopy, { x, y }, { vectors }));
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

async function best(backend: Backend, work: () => void): Promise<number> {
  return (await backend.profile(work))[0]!.ms;
}

async function repeat(times: number, measure: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) all.push(await measure());
  return all;
}

function requireEqual(
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

/** Numbers of independent sums to try: the best depends on processor and compiler. */
const CHAINS = [8, 10, 12];
/** Bytes that each thread copies: more than its share of the caches. Large and small pieces may be copied differently. */
const CPU_COPY_BYTES = 2 ** 26;
const PIECES = [2 ** 26, 2 ** 18];
/** Side of each thread's matrices. */
const BLAS_SIDE = 1024;

/**
 * @param backend the cpu with `threads` threads
 * @param blas measures the arithmetic roof if given; otherwise WebAssembly does
 */
export async function cpuRoof(backend: Backend, threads: number, blas: BlasLibrary | undefined): Promise<Roof> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL("./roof/cpu_worker.ts", import.meta.url).href),
  );
  try {
    const measure = async (task: Task) => Math.max(...(await repeat(ROUNDS, () => together(workers, task))));
    const ofWasm = async () => {
      let flops = 0;
      for (const chains of CHAINS) flops = Math.max(flops, await measure({ kind: "fma", chains, rounds: 10 }));
      return flops;
    };
    const ofCopies = async () => {
      let bytes = 0;
      for (const piece of PIECES) {
        bytes = Math.max(bytes, await measure({ kind: "copy", bytes: CPU_COPY_BYTES, piece, rounds: 2 }));
      }
      return bytes;
    };
    return {
      flopsPerSecond: blas ? await measure({ kind: "blas", blas, side: BLAS_SIDE, rounds: 2 }) : await ofWasm(),
      bytesPerSecond: Math.max(await ofCopies(), await addedBytes(backend)),
      how: blas
        ? `products of ${BLAS_SIDE}² matrices by ${blas.kind}, one on each thread`
        : "WebAssembly SIMD multiplications and additions in registers, all threads",
    };
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

/** The bandwidth of y ← x + y: 8 bytes read and 4 written per number. */
async function addedBytes(backend: Backend): Promise<number> {
  const size = CPU_COPY_BYTES / 4;
  const [x, y] = [backend.allocate("f32", size), backend.allocate("f32", size)];
  for (const buffer of [x, y]) backend.write(buffer, new Float32Array(size).fill(1));
  const ms = Math.min(
    ...(await repeat(ROUNDS, () => best(backend, () => backend.run(accumulateKernel, { x, y }, { size })))),
  );
  requireEqual(backend, "add", await backend.read(y, 0, 1), Float32Array.of(1 + ROUNDS));
  for (const buffer of [x, y]) backend.free(buffer);
  return (1000 * 12 * size) / ms;
}

type Task = RoofTask extends infer T ? (T extends RoofTask ? Omit<T, "gate" | "threads"> : never) : never;

/** Runs a task on all threads at once. @returns flop or bytes per second of all together */
async function together(workers: readonly Worker[], task: Task): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const replies = await Promise.all(
    workers.map((worker) => {
      const { promise, resolve, reject } = Promise.withResolvers<Exclude<RoofReply, { error: string }>>();
      const fail = (text: string) => reject(new DeviceError(`cpu: the roof can't be measured: ${text}`));
      worker.onmessage = ({ data }: MessageEvent<RoofReply>) => ("error" in data ? fail(data.error) : resolve(data));
      worker.onerror = ({ message }) => fail(message);
      worker.postMessage({ ...task, gate, threads: workers.length } as RoofTask);
      return promise;
    }),
  );
  const ms = Math.max(...replies.map(({ end }) => end)) - Math.min(...replies.map(({ begin }) => begin));
  return (1000 * replies.reduce((sum, { amount }) => sum + amount, 0)) / ms;
}
