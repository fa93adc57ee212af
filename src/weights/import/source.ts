/** What the readers of this folder have in common: a file of somebody else's, as named tensors of float32. */
import { brief, damaged } from "../../io/foreign.ts";

export interface SourceTensor {
  readonly shape: readonly number[];
  /** Its numbers in row-major order. @throws CheckpointError or DataError when they can't be read */
  read(): Promise<Float32Array>;
}

export interface WeightFile {
  readonly path: string;
  readonly format: "PyTorch" | "safetensors" | "Caffe" | "NumPy";
  /** The dictionaries of tensors in it, those first that weights are more likely to be in; at least one. */
  readonly dictionaries: readonly Dictionary<SourceTensor>[];
  /** The class of an object that is where weights usually are, and whose tensors can't be read. */
  readonly object?: string;
  /** What the file says of itself. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The layers of a Caffe net that have no weights, in order: it stores them, and they decide which network it is. */
  readonly layers?: readonly SourceLayer[];
  close(): Promise<void>;
}

export interface SourceLayer {
  readonly kind: "lrn" | "pool";
  readonly name: string;
  /** LRN's n, k, α as Caffe means it, divided by n, and β. */
  readonly lrn?: { readonly n: number; readonly k: number; readonly alpha: number; readonly beta: number };
}

export interface Dictionary<T> {
  /** The keys that lead to it in the file, with dots between: "state_dict"; "" for the whole. */
  readonly place: string;
  readonly tensors: ReadonlyMap<string, T>;
}

/** A file that is one dictionary. */
export const whole = <T>(tensors: ReadonlyMap<string, T>): readonly Dictionary<T>[] => [{ place: "", tensors }];

/** The largest tensor that is read, in elements: seven times as many as fc6 of AlexNet has. */
const MAX_ELEMENTS = 2 ** 28;
/** The number of elements. @throws CheckpointError unless the shape is one, and not too large */
export function elements(path: string, name: string, shape: readonly unknown[]): number {
  const isShape = shape.length <= 8 && shape.every((side) => Number.isSafeInteger(side) && (side as number) >= 0);
  const count = isShape ? (shape as readonly number[]).reduce((product, side) => product * side, 1) : NaN;
  if (count <= MAX_ELEMENTS) return count;
  const said = shape.slice(0, 8).map((side) => (typeof side === "number" ? side : "?"));
  throw damaged(path, `"${brief(name)}" has the shape ${said.join("×")}, which no tensor of a network here has`);
}
