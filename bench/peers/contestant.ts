/** Shared by the contestants in TypeScript, ours included. Some run in Node, so only APIs of both runtimes are used. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Job, Result } from "./job.ts";

/** This process's job. */
export function readJob(): Job {
  return JSON.parse(process.argv[2] ?? "");
}

/** Prints the outcome and exits: some libraries leave workers running that would keep the process alive. */
export function answer(library: string, results: readonly Result[]): void {
  const { bun, node } = process.versions;
  const line = JSON.stringify({ version: `${library}, ${bun ? `Bun ${bun}` : `Node ${node}`}`, results });
  process.stdout.write(`${line}\n`, () => process.exit(0));
}

/** Where setup.ts installs the peers. */
const FOLDER = process.env.PEERS_FOLDER ?? process.cwd();
const require = createRequire(join(FOLDER, "package.json"));

/** Imports a peer's package. It is not a dependency of this project, so the caller states its types. */
export function load<T>(name: string): T {
  return require(name);
}

export function versionOf(name: string): string {
  return JSON.parse(readFileSync(join(FOLDER, "node_modules", name, "package.json"), "utf8")).version;
}

/** Minimum number of samples, however long they take. */
const LEAST_RUNS = 2;

/**
 * Runs repeatedly and times each run by the wall clock. The first run, which compiles and allocates, is not counted.
 * @returns milliseconds
 */
export async function measure(run: () => Promise<unknown>, seconds: number): Promise<number[]> {
  await run();
  const samples: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (samples.length < LEAST_RUNS || performance.now() < end) {
    const start = performance.now();
    await run();
    samples.push(performance.now() - start);
  }
  return samples;
}

/** Numbers uniform in −1 … 1. */
export function uniform(length: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = 2 * Math.random() - 1;
  return values;
}

/** The largest |c − c'| / Σ |a·b| over 64 entries of c = a · b, recomputed in float64. */
export function productError(a: Float32Array, b: Float32Array, c: ArrayLike<number>, size: number): number {
  if (c.length !== size * size) throw new Error(`the product has ${c.length} entries, not ${size * size}`);
  let error = 0;
  for (let sample = 0; sample < 64; sample++) {
    const [i, j] = [Math.floor(Math.random() * size), Math.floor(Math.random() * size)];
    let [sum, absolute] = [0, 0];
    for (let k = 0; k < size; k++) {
      const term = a[i * size + k]! * b[k * size + j]!;
      sum += term;
      absolute += Math.abs(term);
    }
    error = worse(error, Math.abs(sum - c[i * size + j]!) / absolute);
  }
  return error;
}

/** The largest difference between logits, N × classes, relative to the largest expected one. */
export function logitsError(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [error, largest] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    error = worse(error, Math.abs(got[i]! - wanted[i]!));
    largest = Math.max(largest, Math.abs(wanted[i]!));
  }
  return error / largest;
}

/** Turns NaN, which JSON can't express, into the largest error. */
function worse(a: number, b: number): number {
  return Number.isNaN(b) ? Number.MAX_VALUE : Math.max(a, b);
}

export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** The tensors of a safetensors file of float32. */
export function readTensors(path: string): Map<string, HostTensor> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header: Record<string, { shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    bytes.toString("utf8", 8, 8 + length),
  );
  delete header.__metadata__;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const data = new Float32Array((to - from) / 4);
        bytes.copy(new Uint8Array(data.buffer), 0, 8 + length + from, 8 + length + to);
        return [name, { shape, data }];
      },
    ),
  );
}

/** A batch filled with repetitions of these images. */
export function repeated({ shape: [images = 1, ...rest], data }: HostTensor, batch: number): HostTensor {
  const all = new Float32Array((data.length / images) * batch);
  for (let at = 0; at < all.length; at += data.length) all.set(data.subarray(0, all.length - at), at);
  return { shape: [batch, ...rest], data: all };
}
