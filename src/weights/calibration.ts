/**
 * What the validation images said about a network's answers: how far its probabilities can be trusted, and how far an
 * image can be from those that it was trained on. A finished training keeps it in its best checkpoint.
 */
import { CheckpointError } from "../errors.ts";
import { COUNT, isRecord, numberThat, type RulesOf } from "../rules.ts";

export interface Calibration {
  /** What logits are divided by before the softmax. */
  readonly temperature: number;
  /** Number of validation images that this was measured with. */
  readonly images: number;
  /** Their expected calibration error at temperature 1, and at `temperature`. */
  readonly before: number;
  readonly after: number;
  /** The distance from all prototypes that 5% of them exceed. */
  readonly limit: number;
  /** What `before` and `after` are sums of. Earlier versions kept neither. */
  readonly bins?: { readonly before: readonly Bin[]; readonly after: readonly Bin[] };
}

/** Images whose most probable class has about the same probability. */
export interface Bin {
  readonly images: number;
  /** Number of images whose most probable class is the right one. */
  readonly right: number;
  /** The mean probability of that class. */
  readonly confidence: number;
}

/** What stands for the images that a network was trained on: rows of features, of unit length. */
export interface Prototypes {
  /** Rows × features. */
  readonly shape: readonly [rows: number, features: number];
  readonly values: Float32Array;
}

const SHARE = numberThat((value) => value >= 0 && value <= 1, "from 0 to 1");
const RULES: RulesOf<Omit<Calibration, "bins">> = {
  temperature: numberThat((value) => value >= 1e-3 && value <= 1e3, "from 0.001 to 1000"),
  images: COUNT,
  before: SHARE,
  after: SHARE,
  limit: numberThat((value) => value >= 0 && value <= 2, "from 0 to 2"),
};

/** Reads what a checkpoint's metadata say, which may be a stranger's. @throws CheckpointError */
export function checkCalibration(path: string, json: unknown): Calibration {
  const fields = isRecord(json) ? json : {};
  for (const [name, problemOf] of Object.entries(RULES)) {
    const problem = problemOf(fields[name]);
    if (problem !== undefined) throw new CheckpointError(`${path}: its calibration: ${name}${problem}`);
  }
  const { bins, ...rest } = fields as unknown as Calibration;
  // They are only drawn.
  return isRecord(bins) && [bins.before, bins.after].every(areBins) ? { ...rest, bins } : rest;
}

/** More than are ever written. */
const MOST_BINS = 100;

function areBins(value: unknown): value is readonly Bin[] {
  if (!Array.isArray(value) || value.length > MOST_BINS) return false;
  return value.every((bin) => {
    if (!isRecord(bin)) return false;
    const { images, right, confidence } = bin as Partial<Record<keyof Bin, unknown>>;
    const isCount = (count: unknown): count is number => Number.isSafeInteger(count) && (count as number) >= 0;
    return isCount(images) && images > 0 && isCount(right) && right <= images && SHARE(confidence) === undefined;
  });
}
