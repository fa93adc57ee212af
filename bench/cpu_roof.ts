/**
 * Measures the cpu's roof, with all threads at once, each in its own memory (roof/cpu_worker.ts). Its arithmetic is a
 * loop of SIMD multiplications and additions in registers for WebAssembly; for BLAS it is a large product, because no
 * loop written in WebAssembly reaches the processor's own peak. Its bandwidth is that of copies, or of y ← x + y if that
 * is higher: a processor also fetches what a copy overwrites, which is not counted.
 */
import type { Backend } from "../src/engine/backend.ts";
import { accumulateKernel } from "../src/engine/tape.ts";
import { DeviceError } from "../src/errors.ts";
import type { BlasLibrary } from "../src/native/libraries.ts";
import { deviceClock, repeat, requireEqual, ROUNDS } from "./gpu_roof.ts";
import type { Roof } from "./results.ts";
import type { RoofReply, RoofTask } from "./roof/cpu_worker.ts";

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
    ...(await repeat(ROUNDS, () => deviceClock(backend, () => backend.run(accumulateKernel, { x, y }, { size })))),
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
