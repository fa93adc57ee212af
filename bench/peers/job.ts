/**
 * Jobs and outcomes of contestants. Each contestant is a separate program: it gets a job as JSON in its first argument
 * and prints its outcome as JSON on the last line of its output. Earlier lines are ignored.
 */
import { UsageError } from "../../src/errors.ts";

export type Job = MatmulJob | StepJob | PhotosJob | ParametersJob;

/** Products of two square float32 matrices, uniform in −1 … 1. Results are named by the size. */
export interface MatmulJob extends Cuda {
  readonly task: "matmul";
  readonly sizes: readonly number[];
  readonly threads: number;
  readonly device: "cpu" | "gpu";
  /** Measuring time per size. */
  readonly seconds: number;
}

/** For PyTorch on CUDA. */
interface Cuda {
  /** "tf32" lets it round operands to TF32; its results are then named "training, TF32", "4096, TF32". */
  readonly precisions?: readonly ("f32" | "tf32")[];
  /** The name of the card; the first one if there is none of this name. */
  readonly card?: string;
}

/** Training steps and forward passes of a network. Results are named "training" and "forward". */
export interface StepJob extends Cuda {
  readonly task: "step";
  readonly model: string;
  readonly batch: number;
  readonly threads: number;
  readonly device: "cpu" | "gpu";
  /** Measuring time for each of the two. */
  readonly seconds: number;
  readonly rate: number;
  readonly momentum: number;
  readonly decay: number;
  /** A checkpoint with the initial weights of all contestants, under PyTorch's names and in its order. */
  readonly weights: string;
  /** A safetensors file with `input` (N × 3 × crop × crop) and its `logits` (N × classes) for these weights. */
  readonly check: string;
}

/**
 * JPEG files to records of `side` × `side` × 3 bytes: the shorter side rescaled (bilinear, antialiased), then cropped to
 * the centre. "read": all records in memory once, in order; "pack": all records written as concatenated JPEG files. A run
 * is all photos.
 */
export interface PhotosJob {
  readonly task: "photos";
  /** The files, in folders by class; ordered by path. */
  readonly folder: string;
  readonly side: number;
  /** Quality of the JPEGs written. */
  readonly quality: number;
  readonly threads: number;
  readonly device: "cpu" | "gpu";
  readonly seconds: number;
  /** CRC-32 of all records in order, made by this project's decoder. */
  readonly crc: number;
}

/** The number of parameters of each network. Results are named by the model. */
interface ParametersJob {
  readonly task: "parameters";
  readonly models: readonly string[];
}

export interface Outcome {
  /** Library and runtime with versions: "PyTorch 2.15.0, Python 3.11.7". */
  readonly version: string;
  readonly results: readonly Result[];
}

export type Result = Measured | Impossible;

export interface Measured {
  readonly name: string;
  /** Milliseconds of each run, without the warm-up. */
  readonly samples: readonly number[];
  /**
   * The error of the result. matmul: the largest |c − c'| / Σ |a·b| over 64 entries recomputed in float64; forward: the
   * largest difference from the logits in `check`, relative to the largest of those; read: 0 if all bytes of all records
   * are right, otherwise 1; pack: the mean difference between an image's pixels and its record, out of 255.
   */
  readonly error?: number;
  /** The loss of each training step, including the warm-up. All steps use the same batch. */
  readonly losses?: readonly number[];
  readonly parameters?: number;
}

/** What this contestant can't do, and why. */
interface Impossible {
  readonly name: string;
  readonly cannot: string;
}

/** Rounding errors are about 1e-7 of the sum of a product's absolute terms, and about 1e-5 in a forward pass. */
const LARGEST_ERROR = { matmul: 1e-5, step: 1e-3, photos: 0.05 } as const;
/** TF32 has 10 bits of mantissa. */
export const TF32_ERROR = 2e-2;

/** Parses the outcome from a contestant's output. @throws UsageError when there is none */
export function parseOutcome(output: string): Outcome {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UsageError(`its last line is not an outcome: "${line.slice(0, 200)}"`);
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
 * Checks a result. @returns how it was checked, in a few words
 * @param limit the largest error that is allowed
 * @throws RangeError when it is wrong; it must then not be reported
 */
export function verify(
  task: keyof typeof LARGEST_ERROR,
  { name, samples, error, losses }: Measured,
  limit: number = LARGEST_ERROR[task],
): string {
  if (samples.length === 0) throw new RangeError(`${name}: nothing was measured`);
  if (losses) {
    const [first = NaN, ...rest] = losses;
    const least = Math.min(...rest);
    if (!(least < first)) throw new RangeError(`${name}: the loss did not fall: ${losses.join(", ")}`);
    return `loss ${first.toPrecision(4)} → ${least.toPrecision(4)}`;
  }
  if (error === undefined || !(error <= limit)) {
    throw new RangeError(`${name}: its error is ${error ?? "unknown"}, at most ${limit} is allowed`);
  }
  if (task === "photos")
    return name === "read" ? "every byte of every record" : `pixels within ${error.toExponential(0)}`;
  return task === "matmul"
    ? `64 entries within ${error.toExponential(0)} of float64`
    : `logits within ${error.toExponential(0)} of the reference`;
}
