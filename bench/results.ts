/** The results of a benchmark run as a JSON document, written by this harness and by bench/peers. */
import { readFileSync } from "node:fs";
import { UsageError } from "../src/errors.ts";
import { reason, replaceFile } from "../src/io/files.ts";

/** To be changed when older readers would misunderstand newer files. */
export const FORMAT = 1;

export interface Results {
  readonly format: typeof FORMAT;
  readonly machine: Machine;
  /** Each device once. */
  readonly devices: readonly Device[];
  readonly rows: readonly Row[];
  /** What was requested but not timed. */
  readonly skipped: readonly Skipped[];
}

export interface Machine {
  /** Logical cores and the processor's name: "2 × AMD EPYC". */
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** "linux x64, 6.1.0". */
  readonly os: string;
  readonly bun: string;
  /** Of this repository; "" if there is none. */
  readonly commit: string;
  /** Whether files differed from that commit. */
  readonly dirty: boolean;
  /** ISO 8601, UTC, to the second. */
  readonly date: string;
  /** Variables of the environment by which OpenBLAS chooses its kernels: "OPENBLAS_CORETYPE=Haswell", "" for none. */
  readonly openblas?: string;
}

export interface Device {
  /** As given to --device: "cpu:wasm", "cpu:blas", "gpu:0". */
  readonly device: string;
  /** For people: threads and BLAS, or adapter and driver. */
  readonly description: string;
  /** GPUs only. */
  readonly adapter?: string;
  readonly driver?: string;
  readonly roof?: Roof;
}

/** The peak rates that this device reached in this run on purpose-made kernels. */
export interface Roof {
  readonly flopsPerSecond: number;
  /** Bytes read and bytes written, both counted. */
  readonly bytesPerSecond: number;
  /** How `flopsPerSecond` was measured. */
  readonly how: string;
}

/** One contestant at one piece of work. Suite, name, contestant and device together are unique in a document. */
export interface Row {
  /** "matmul", "step", … */
  readonly suite: string;
  /** The piece of work, identical for all its contestants: "conv2 forward, batch 128", "alexnet training, batch 128". */
  readonly name: string;
  /** A kernel, a rung, "alexnet.ts", or a peer with its version, such as "PyTorch 2.15.0". */
  readonly contestant: string;
  /** A `Device.device`. */
  readonly device: string;
  readonly work: Work;
  readonly ms: Times;
  /** The device's own clock (timestamps, a worker's clock), or the wall clock around a call that waits for the result. */
  readonly clock: "device" | "wall";
  /** Share of the roof that the best time reaches; absent if the work is neither arithmetic nor memory traffic. */
  readonly ofRoof?: number;
  /** How the timed result was checked, in a few words. */
  readonly check: string;
  /** The kernels that ran, in order, by the name of the kernel or of the variant chosen by the device. */
  readonly kernels?: readonly string[];
  /** For a part of a step: its share of the whole step's time. */
  readonly share?: number;
}

/** The amount of work of one measurement. */
export interface Work {
  /** flop: a multiply-add counts 2. byte: read plus written. */
  readonly unit: "flop" | "byte" | "image";
  readonly amount: number;
}

/** All measurements of a row in ms, without the warm-up. */
interface Times {
  readonly best: number;
  readonly median: number;
  readonly count: number;
  /** In the order taken; a file keeps at most KEPT of them, evenly spaced. */
  readonly samples: readonly number[];
}

export interface Skipped {
  readonly suite: string;
  readonly name: string;
  readonly contestant: string;
  readonly device: string;
  readonly reason: string;
}

/** @throws RangeError when there are no samples */
export function times(samples: readonly number[]): Times {
  if (samples.length === 0) throw new RangeError("no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { best: sorted[0]!, median, count: samples.length, samples };
}

/** Work per second, if each takes `ms`. */
export function rate({ amount }: Work, ms: number): number {
  return (1000 * amount) / ms;
}

/** Whether a row of bench/peers is this project's. */
export function isOurs({ contestant }: Row): boolean {
  return contestant.startsWith("alexnet.ts");
}

/** Samples per row in a file: enough to see the noise. */
const KEPT = 100;

/** Times as stored in a file, to five digits. */
function kept({ best, median, count, samples }: Times): Times {
  const short = (ms: number) => Number(ms.toPrecision(5));
  const chosen = Array.from({ length: Math.min(KEPT, samples.length) }, (_, i) => {
    return short(samples[Math.floor((i * samples.length) / Math.min(KEPT, samples.length))]!);
  });
  return { best: short(best), median: short(median), count, samples: chosen };
}

export async function writeResults(path: string, results: Results): Promise<void> {
  const text = resultsText(results);
  await replaceFile(path, (append) => append(new TextEncoder().encode(text)));
}

/** A results file. @param more what else it has; lists in it are written like rows */
export function resultsText(results: Results, more: Readonly<Record<string, object>> = {}): string {
  const { format, machine, devices, rows, skipped } = results;
  // One row per line: readable, and diffs stay small.
  const list = (items: readonly unknown[]) =>
    items.length === 0 ? "[]" : `[\n${items.map((item) => `    ${JSON.stringify(item)}`).join(",\n")}\n  ]`;
  const others = Object.entries(more).map(([name, object]) => {
    const fields = Object.entries(object).map(([key, value]) => {
      return `    ${JSON.stringify(key)}: ${Array.isArray(value) ? list(value) : JSON.stringify(value)}`;
    });
    return `,\n  ${JSON.stringify(name)}: {\n${fields.join(",\n")}\n  }`;
  });
  return (
    `{\n  "format": ${format},\n  "machine": ${JSON.stringify(machine)},\n  "devices": ${list(devices)},\n` +
    `  "rows": ${list(rows.map((row) => ({ ...row, ms: kept(row.ms) })))},\n  "skipped": ${list(skipped)}${others.join("")}\n}\n`
  );
}

/** @throws UsageError when the file is missing, damaged, or of another format */
export function readResults(path: string): Results {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`can't read the results ${path}: ${reason(error)}`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not a results file: ${(error as Error).message}`, { cause: error });
  }
  const found = value as Partial<Results> | null;
  if (typeof found === "object" && found && typeof found.format === "number" && found.format !== FORMAT) {
    throw new UsageError(`${path} has format ${found.format}, but this program reads ${FORMAT}: measure again`);
  }
  if (!isResults(value))
    throw new UsageError(`${path} is not a results file: it lacks machine, devices, rows or some of their fields`);
  return value;
}

/** Whether all fields that this program reads are there. */
function isResults(value: unknown): value is Results {
  if (!isObject(value) || value.format !== FORMAT || !isObject(value.machine)) return false;
  const { machine, devices, rows, skipped } = value;
  return (
    has(machine, {
      processor: "string",
      cores: "number",
      os: "string",
      bun: "string",
      commit: "string",
      date: "string",
    }) &&
    isList(devices, (device) => has(device, { device: "string", description: "string" })) &&
    isList(rows, isRow) &&
    isList(skipped, (item) => has(item, { suite: "string", name: "string", contestant: "string", reason: "string" }))
  );
}

function isRow(row: Fields): boolean {
  const { work, ms } = row;
  return (
    has(row, { suite: "string", name: "string", contestant: "string", device: "string", check: "string" }) &&
    isObject(work) &&
    has(work, { unit: "string", amount: "number" }) &&
    isObject(ms) &&
    has(ms, { best: "number", median: "number", count: "number" }) &&
    Array.isArray(ms.samples) &&
    ms.samples.length > 0 &&
    ms.samples.every((sample) => typeof sample === "number" && sample >= 0)
  );
}

type Fields = Record<string, unknown>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: unknown, isItem: (item: Fields) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => isObject(item) && isItem(item));
}

function has(object: Fields, fields: Readonly<Record<string, "string" | "number">>): boolean {
  return Object.entries(fields).every(([name, type]) => typeof object[name] === type);
}
