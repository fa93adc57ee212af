/** What this folder's readers return: another program's file, as named float32 tensors. */
import { brief, damaged } from "../../io/foreign.ts";

export interface ForeignTensor {
  readonly shape: readonly number[];
  /** The numbers in row-major order. @throws CheckpointError or DataError when they can't be read */
  read(): Promise<Float32Array>;
}

export interface WeightFile {
  readonly path: string;
  readonly format: "PyTorch" | "safetensors" | "Caffe" | "NumPy";
  /** Its dictionaries of tensors, the likeliest to be weights first; at least one. */
  readonly dictionaries: readonly Dictionary<ForeignTensor>[];
  /** The class of an object found where weights usually are, whose tensors can't be read. */
  readonly object?: string;
  /** What the file says about itself. */
  readonly metadata: Readonly<Record<string, string>>;
  /** A Caffe net's normalisation and pooling layers, in order: they tell networks of the same shapes apart. */
  readonly layers?: readonly ForeignLayer[];
  close(): Promise<void>;
}

export interface ForeignLayer {
  readonly kind: "lrn" | "pool";
  readonly name: string;
  /** LRN's n, k, β, and α, which Caffe divides by n. */
  readonly lrn?: { readonly n: number; readonly k: number; readonly alpha: number; readonly beta: number };
}

export interface Dictionary<T> {
  /** The path of keys to it in the file, joined with dots, such as "state_dict"; "" for the whole file. */
  readonly place: string;
  readonly tensors: ReadonlyMap<string, T>;
}

/** For a file that is a single dictionary. */
export const whole = <T>(tensors: ReadonlyMap<string, T>): readonly Dictionary<T>[] => [{ place: "", tensors }];

/** Elements of the largest tensor that is read: seven times those of AlexNet's fc6. */
const MAX_ELEMENTS = 2 ** 28;

/** The number of elements. @throws CheckpointError when the shape is invalid or too large */
export function elements(path: string, name: string, shape: readonly unknown[]): number {
  const isShape = shape.length <= 8 && shape.every((side) => Number.isSafeInteger(side) && (side as number) >= 0);
  const count = isShape ? (shape as readonly number[]).reduce((product, side) => product * side, 1) : NaN;
  if (count <= MAX_ELEMENTS) return count;
  const said = shape.slice(0, 8).map((side) => (typeof side === "number" ? side : "?"));
  throw damaged(
    path,
    `"${brief(name)}" has the shape ${said.join("×")}, which is invalid or too large for a network's tensor`,
  );
}
