/** The values that parameters begin with. */
import { UsageError } from "../../errors.ts";
import { checkOptions, requireNumber, requireWhole, show } from "../../options.ts";
import { Purpose, Random } from "../../random.ts";
import { checkedSize } from "../tensor.ts";

export type Initial =
  /** Normally distributed around 0, with this standard deviation. */
  | { readonly normal: number }
  /** Between plus and minus this. */
  | { readonly uniform: number }
  | { readonly constant: number };

export interface ParameterOptions {
  /**
   * The values to begin with: drawn, constant, or "he": normal with a variance of 2 ÷ the inputs of an output, as suits
   * layers before a ReLU (He et al. 2015). Without it they are undefined, until something is written.
   */
  readonly init?: Initial | "he";
  /** The same seed and name give the same values on every device; 0 by default. */
  readonly seed?: number;
}

export function initialValues(initial: Initial, size: number, random: Random): Float32Array {
  const values = new Float32Array(size);
  if ("constant" in initial) return values.fill(initial.constant);
  if ("normal" in initial) for (let i = 0; i < size; i++) values[i] = initial.normal * random.normal();
  else for (let i = 0; i < size; i++) values[i] = initial.uniform * (2 * random.uniform() - 1);
  return values;
}

/**
 * The values that the options ask for; undefined if none.
 * @param name of the parameter
 * @throws ShapeError for an invalid shape or number; UsageError for an unknown option
 */
export function valuesFor(name: string, shape: readonly number[], options: ParameterOptions): Float32Array | undefined {
  checkOptions(name, options, { init: "any?", seed: "number?" });
  const { init, seed = 0 } = options;
  if (init === undefined) return undefined;
  requireWhole(name, { seed }, 0);
  const size = checkedSize(name, shape);
  const initial = init === "he" ? { normal: Math.sqrt((2 * shape[0]!) / size) } : init;
  checkInitial(name, initial);
  return initialValues(initial, size, new Random(seed, Purpose.weights, hashOf(name)));
}

function checkInitial(name: string, initial: Initial): void {
  const [[kind, value] = [""], ...others] = Object.entries(initial ?? {});
  if (!["normal", "uniform", "constant"].includes(kind) || others.length > 0) {
    throw new UsageError(`${name}: init is ${show(initial)}, must be "he", { normal }, { uniform } or { constant }`);
  }
  requireNumber(name, { [kind]: value }, kind === "constant" ? -Infinity : 0);
}

/** FNV-1a, 32 bits. */
function hashOf(name: string): number {
  return [...name].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0)!, 0x01000193), 0x811c9dc5) >>> 0;
}
