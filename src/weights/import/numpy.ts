/**
 * NumPy's files: .npz archives of arrays, and .npy files that hold a dictionary of arrays as a pickle
 * (numpy/lib/format.py, NEP 1). Only plain arrays are read.
 */
import { size as sizeOf } from "../../engine/tensor.ts";
import { readWhole, type Bytes } from "../../io/bytes.ts";
import { brief, damaged, MAX_FILE } from "../../io/foreign.ts";
import type { ZipEntry } from "../../io/zip.ts";
import { findDictionaries, openDictionaries } from "./dictionary.ts";
import { BYTES, gather, toFloat32, type NumberType } from "./numbers.ts";
import { PickleError, unpickle, type Global, type Stateful } from "./pickle.ts";
import { elements, whole, type ForeignTensor, type WeightFile } from "./weight_file.ts";

export const NPY_MAGIC = "\x93NUMPY";
const MAX_HEADER = 65_536;
const MAX_ARRAYS = 10_000;

const TYPES: Readonly<Record<string, NumberType>> = {
  ...{ f2: "f16", f4: "f32", f8: "f64", u1: "u8", b1: "u8", i1: "i8", i2: "i16", i4: "i32", i8: "i64" },
};

interface Header {
  /** "<f4", or "|O" for Python objects. */
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  readonly start: number;
}

/** @param read reads bytes of the file */
async function readHeader(
  path: string,
  size: number,
  read: (at: number, length: number) => Promise<Uint8Array>,
): Promise<Header> {
  const head = Buffer.from(await read(0, Math.min(size, 12)));
  if (head.length < 10 || head.toString("latin1", 0, 6) !== NPY_MAGIC) throw damaged(path, "not a NumPy array");
  const isFirst = head[6] === 1;
  const length = isFirst || head.length < 12 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  const start = (isFirst ? 10 : 12) + length;
  if (length > MAX_HEADER || start > size)
    throw damaged(path, `its header would have ${length} bytes: must be at most ${MAX_HEADER}, in a file of ${size}`);
  const text = Buffer.from(await read(start - length, length)).toString("latin1");
  const descr = /'descr':\s*'([^']{1,16})'/.exec(text)?.[1];
  const fortran = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (!descr || !fortran || shape === undefined) throw damaged(path, `unknown form of header: ${brief(text)}`);
  const sides = (shape.match(/\d+/g) ?? []).map(Number);
  return { descr, fortran: fortran === "True", shape: sides, start };
}

/** @param entries of an archive of .npy files. @throws CheckpointError */
export async function openNpz(file: Bytes, entries: ReadonlyMap<string, ZipEntry>): Promise<WeightFile> {
  const tensors = new Map<string, ForeignTensor>();
  if (entries.size > MAX_ARRAYS) throw damaged(file.name, `it has ${entries.size} arrays, more than ${MAX_ARRAYS}`);
  for (const [entryName, entry] of entries) {
    const name = entryName.replace(/\.npy$/, "");
    const path = `${file.name}/${brief(entryName)}`;
    const header = await readHeader(path, entry.size, (at, length) => entry.read(at, length));
    tensors.set(
      name,
      numbers(path, name, header, entry.size - header.start, (at, n) => entry.read(header.start + at, n)),
    );
  }
  return { path: file.name, format: "NumPy", dictionaries: whole(tensors), metadata: {}, close: file.close };
}

/** A .npy file with a dictionary. @throws CheckpointError or DataError */
export async function openNpy(file: Bytes): Promise<WeightFile> {
  const header = await readHeader(file.name, file.size, file.read);
  if (header.descr !== "|O" || header.shape.length > 0) {
    throw damaged(file.name, "it holds one array, not several by name: save them with np.savez");
  }
  const bytes = await readWhole(file, MAX_FILE);
  try {
    const { value } = unpickle(bytes, header.start, { globals: GLOBALS });
    const top = Array.isArray(value) ? value[0] : value instanceof Pickled ? value.items?.[0] : value;
    const found = findDictionaries(file.name, top, (part): part is Pickled => part instanceof Pickled);
    const opened = openDictionaries(found, (name, array) => array.tensor(file.name, name));
    return { path: file.name, format: "NumPy", ...opened, metadata: {}, close: file.close };
  } catch (error) {
    if (error instanceof PickleError) throw damaged(file.name, error.message, error);
    throw error;
  }
}

/** A .npy file with one array of numbers. @throws CheckpointError or DataError */
export async function readNpy(file: Bytes): Promise<{ shape: readonly number[]; values: Float32Array }> {
  const header = await readHeader(file.name, file.size, file.read);
  const { start, shape } = header;
  const { read } = numbers(file.name, "array", header, file.size - start, (at, n) => file.read(start + at, n));
  return { shape, values: await read() };
}

/** numpy.dtype("f4", …); its state has the byte order. */
class Dtype implements Stateful {
  code: string;
  order = "<";
  constructor(code: unknown) {
    if (typeof code !== "string") throw new PickleError("a dtype without a name");
    this.code = code;
  }
  setState(state: unknown): void {
    if (Array.isArray(state) && typeof state[1] === "string") this.order = state[1];
  }
}

/** An array in a pickle: created empty, then given a state of version, shape, type, order and bytes. */
class Pickled implements Stateful {
  #state: readonly unknown[] = [];
  /** The items of an array of objects. */
  get items(): readonly unknown[] | undefined {
    return Array.isArray(this.#state[4]) ? this.#state[4] : undefined;
  }
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length !== 5) throw new PickleError("an array in its pickle has no state");
    this.#state = state;
  }
  tensor(path: string, name: string): ForeignTensor {
    const [, shape, dtype, fortran, text] = this.#state;
    const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
    if (!Array.isArray(shape) || !(dtype instanceof Dtype) || !(bytes instanceof Uint8Array)) {
      throw damaged(path, `"${brief(name)}" is not a plain array of numbers`);
    }
    const header = { descr: dtype.order + dtype.code, fortran: fortran === true, shape: shape as number[], start: 0 };
    return numbers(path, name, header, bytes.length, async (at, length) => bytes.subarray(at, at + length));
  }
}

function fromBuffer([bytes, dtype, shape, order]: readonly unknown[]): Pickled {
  const array = new Pickled();
  array.setState([1, shape, dtype, order === "F", bytes]);
  return array;
}

const array: Global = { call: () => new Pickled() };
const GLOBALS: ReadonlyMap<string, Global> = new Map<string, Global>([
  ["numpy.core.multiarray._reconstruct", array],
  ["numpy._core.multiarray._reconstruct", array],
  ["numpy.core.numeric._frombuffer", { call: fromBuffer }],
  ["numpy._core.numeric._frombuffer", { call: fromBuffer }],
  ["numpy.ndarray", {}],
  ["numpy.dtype", { call: ([code]) => new Dtype(code) }],
]);

/** @param size how many bytes of numbers there are */
function numbers(
  path: string,
  name: string,
  { descr, fortran, shape }: Header,
  size: number,
  read: (at: number, length: number) => Promise<Uint8Array>,
): ForeignTensor {
  const type = TYPES[descr.slice(1)];
  const count = elements(path, name, shape);
  if (!type) throw damaged(path, `"${brief(name)}" has type ${brief(descr)}: only plain numbers can be read`);
  if (count * BYTES[type] !== size) {
    throw damaged(path, `"${brief(name)}" of shape ${shape.join("×")} needs ${count * BYTES[type]} bytes, has ${size}`);
  }
  return {
    shape,
    async read() {
      const values = toFloat32(await read(0, size), type, !descr.startsWith(">"));
      return fortran && shape.length > 1 ? gather(values, shape, fortranStrides(shape)) : values;
    },
  };
}

/** In Fortran's order, the first index is the fastest. */
function fortranStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
}
