/**
 * What a contestant is asked, and what it answers. Each one is a program of its own: it gets a job as JSON in its first
 * argument and prints its outcome as JSON on the last line of its output. What comes before that line is chatter.
 */
import { UsageError } from "../../src/errors.ts";

export type Job = MatmulJob | StepJob | PhotosJob | ParametersJob;

/** Products of two square matrices of float32, drawn uniformly from −1 to 1. Results are named by the size. */
export interface MatmulJob {
  readonly task: "matmul";
  readonly sizes: readonly number[];
  readonly threads: number;
  readonly device: "cpu" | "gpu";
  /** For how long each size is measured. */
  readonly seconds: number;
}

/** Training steps and forward passes of one network. Results are named "training" and "forward". */
export interface StepJob {
  readonly task: "step";
  readonly model: string;
  readonly batch: number;
  readonly threads: number;
  readonly device: "cpu" | "gpu";
  /** For how long each of the two is measured. */
  readonly seconds: number;
  readonly rate: number;
  readonly momentum: number;
  readonly decay: number;
  /** A checkpoint: every contestant starts from the same weights, under PyTorch's names and in its order. */
  readonly weights: string;
  /** A safetensors file with `input` (N × 3 × crop × crop) and the `logits` (N × classes) that these weights make of it. */
  readonly check: string;
}

/**
 * JPEG files to records of `side` × `side` × 3 bytes: the shorter side rescaled, bilinear and antialiased, and the centre
 * cut out. "read": all records once through the memory of the process, in order; "pack": all written as JPEG, one file
 * behind the other. A run is all photos.
 */
export interface PhotosJob {
  readonly task: "photos";
  /** Holds the files, in folders by class; their order is that of their paths. */
  readonly folder: string;
  readonly side: number;
  /** Of the JPEG that is written. */
  readonly quality: number;
  readonly threads: number;
  readonly device: "cpu" | "gpu";
  readonly seconds: number;
  /** CRC-32 of all records in order, as this project's decoder makes them one after the other. */
  readonly crc: number;
}

/** How many numbers each network learns. Results are named by the model. */
interface ParametersJob {
  readonly task: "parameters";
  readonly models: readonly string[];
}

export interface Outcome {
  /** What computed, with its version: "PyTorch 2.15.0, Python 3.11.7". */
  readonly version: string;
  readonly results: readonly Result[];
}

export type Result = Measured | Impossible;

export interface Measured {
  readonly name: string;
  /** Milliseconds of each run, without the warm-up. */
  readonly samples: readonly number[];
  /**
   * How far the result is from the right one. matmul: the largest |c − c'| / Σ |a·b| among 64 entries computed again in
   * float64; forward: the largest difference from the logits in `check`, relative to the largest of those; read: 0 if all
   * bytes of all records are right, else 1; pack: the mean difference of an image's pixels from its record, of 255.
   */
  readonly error?: number;
  /** Of each training step, the warm-up first. All steps see the same batch. */
  readonly losses?: readonly number[];
  readonly parameters?: number;
}

/** What this contestant is unable to do, and why. */
interface Impossible {
  readonly name: string;
  readonly cannot: string;
}

/** Rounding leaves a product some 1e-7 of the sum of its terms' sizes off, and a forward pass about 1e-5. */
const LARGEST_ERROR = { matmul: 1e-5, step: 1e-3, photos: 0.05 } as const;

/** Finds the outcome in what a contestant printed. @throws UsageError when there is none */
export function parseOutcome(output: string): Outcome {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UsageError(`its last line is no outcome: "${line.slice(0, 200)}"`);
  }
  if (!isOutcome(value)) throw new UsageError(`its outcome lacks a version, or results with their samples: ${line}`);
  return value;
}

function isOutcome(value: unknown): value is Outcome {
  if (typeof value !== "object" || value === null) return false;
  const { version, results } = value as Partial<Outcome>;
  return typeof version === "string" && Array.isArray(results) && results.every(isResult);
}

function isResult(value: unknown): value is Result {
  if (typeof value !== "object" || value === null) return false;
  const { name, cannot, samples } = value as Partial<Measured & Impossible>;
  if (typeof name !== "string") return false;
  return typeof cannot === "string" || (Array.isArray(samples) && samples.every((ms) => Number.isFinite(ms) && ms > 0));
}

/**
 * How a result was found to be right, in a few words.
 * @throws RangeError saying what is wrong with it: then it must not be reported
 */
export function verify(task: keyof typeof LARGEST_ERROR, { name, samples, error, losses }: Measured): string {
  if (samples.length === 0) throw new RangeError(`${name}: nothing was measured`);
  if (losses) {
    const [first = NaN, ...rest] = losses;
    const least = Math.min(...rest);
    if (!(least < first)) throw new RangeError(`${name}: the loss did not fall: ${losses.join(", ")}`);
    return `loss ${first.toPrecision(4)} → ${least.toPrecision(4)}`;
  }
  const limit = LARGEST_ERROR[task];
  if (error === undefined || !(error <= limit)) {
    throw new RangeError(`${name}: wrong by ${error ?? "an unknown amount"}, allowed is ${limit}`);
  }
  if (task === "photos")
    return name === "read" ? "every byte of every record" : `pixels within ${error.toExponential(0)}`;
  return task === "matmul"
    ? `64 entries within ${error.toExponential(0)} of float64`
    : `logits within ${error.toExponential(0)} of the reference`;
}
