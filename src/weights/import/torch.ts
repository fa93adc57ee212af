/**
 * PyTorch's files, as torch.save writes them (torch/serialization.py): since 1.6, a zip archive with a pickle and a
 * file for each storage; before, a magic number, pickles, and all storages in a row. A storage is a run of numbers; a
 * tensor is a view of one, with an offset, a shape and strides.
 */
import type { Bytes } from "../../io/bytes.ts";
import { brief, damaged } from "../../io/foreign.ts";
import type { ZipEntry } from "../../io/zip.ts";
import { findDictionaries, openDictionaries } from "./dictionary.ts";
import { BYTES, gather, isCount, isCounts, toFloat32, type NumberType } from "./numbers.ts";
import { globalValue, PickleError, unpickle, Unknown, type Global, type Vocabulary } from "./pickle.ts";
import { elements, type ForeignTensor, type WeightFile } from "./weight_file.ts";

/** 0x1950a86a20f9469cfc6c as a pickle of protocol 2. */
export const LEGACY_MAGIC = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/** A state dict's pickle has some kilobytes. */
const MAX_PICKLE = 16 * 2 ** 20;

const STORAGES: Readonly<Record<string, NumberType>> = {
  ...{ HalfStorage: "f16", BFloat16Storage: "bf16", FloatStorage: "f32", DoubleStorage: "f64" },
  ...{ ByteStorage: "u8", BoolStorage: "u8", CharStorage: "i8", ShortStorage: "i16" },
  ...{ IntStorage: "i32", LongStorage: "i64" },
};
const TYPES: Readonly<Record<string, NumberType>> = {
  ...{ float16: "f16", half: "f16", bfloat16: "bf16", float32: "f32", float: "f32", float64: "f64", double: "f64" },
  ...{ uint8: "u8", bool: "u8", int8: "i8", int16: "i16", int32: "i32", int64: "i64" },
};

/** A storage of bytes without a type: its tensors have one. */
const UNTYPED = "untyped";

class Storage {
  readonly key: string;
  readonly type: NumberType | typeof UNTYPED;
  /** Elements, or bytes if untyped. */
  readonly count: number;
  /** In elements, if it is a view of another storage. */
  readonly offset: number;
  constructor(key: string, type: Storage["type"], count: number, offset = 0) {
    this.key = key;
    this.type = type;
    this.count = count;
    this.offset = offset;
  }
}

class View {
  readonly storage: Storage;
  readonly type: NumberType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(
    storage: Storage,
    type: NumberType,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.type = type;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/**
 * _rebuild_tensor(storage, offset, size, stride, …); in version 3 the type follows gradients and hooks. A tensor of an
 * unknown type, such as complex numbers, is itself `Unknown`.
 */
function rebuild(args: readonly unknown[]): View | Unknown {
  const [storage, offset, shape, strides, , , dtype] = args;
  for (const part of [storage, dtype]) if (part instanceof Unknown) return part;
  if (!(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides))
    throw new PickleError("a tensor in its pickle lacks a storage, offset, shape or strides");
  if (shape.length !== strides.length || shape.length > 8)
    throw new PickleError(`a tensor in its pickle has ${shape.length} dimensions and ${strides.length} strides`);
  const type = storage.type === UNTYPED ? (globalValue(dtype) as NumberType | undefined) : storage.type;
  if (!type) throw new PickleError("a tensor in its pickle has no type");
  return new View(storage, type, storage.offset + offset, shape, strides);
}

function ordered(args: readonly unknown[]): Map<unknown, unknown> {
  const items = args[0] ?? [];
  if (!Array.isArray(items) || !items.every((item) => Array.isArray(item) && item.length === 2))
    throw new PickleError("an OrderedDict in its pickle is not made from a list of pairs");
  return new Map(items as [unknown, unknown][]);
}

const GLOBALS: ReadonlyMap<string, Global> = new Map<string, Global>([
  ["collections.OrderedDict", { call: ordered }],
  ["torch.Size", { call: ([sides]) => sides }],
  ["torch._utils._rebuild_tensor", { call: rebuild }],
  ["torch._utils._rebuild_tensor_v2", { call: ([a, b, c, d]) => rebuild([a, b, c, d]) }],
  ["torch._utils._rebuild_tensor_v3", { call: rebuild }],
  ["torch._utils._rebuild_parameter", { call: ([data]) => data }],
  ["torch._utils._rebuild_parameter_with_state", { call: ([data]) => data }],
  ["torch.storage.UntypedStorage", { value: UNTYPED }],
  ["torch.UntypedStorage", { value: UNTYPED }],
  ...Object.entries(STORAGES).flatMap(([name, value]): [string, Global][] => [
    [`torch.${name}`, { value }],
    [`torch.cuda.${name}`, { value }],
    [`torch.storage.${name}`, { value }],
  ]),
  ...Object.entries(TYPES).map(([name, value]): [string, Global] => [`torch.${name}`, { value }]),
]);

/** Storages by their persistent IDs: ("storage", type, key, device, elements), in old files also a view of another. */
function vocabulary(storages: Map<string, Storage>): Vocabulary {
  return {
    globals: GLOBALS,
    persistent(id) {
      const [kind, typeName, key, , count, view] = Array.isArray(id) ? id : [];
      // Old files refer to the classes of objects in this way, too.
      if ((kind === "storage" || kind === "module") && typeName instanceof Unknown) return typeName;
      const type = globalValue(typeName) as Storage["type"] | undefined;
      if (kind !== "storage" || !type || typeof key !== "string" || !isCount(count))
        throw new PickleError("its pickle refers to something outside it that is not a storage of numbers");
      const root = storages.get(key) ?? new Storage(key, type, count);
      if (root.type !== type || root.count !== count)
        throw new PickleError(`storage ${brief(key)} is first ${root.count} ${root.type}, then ${count} ${type}`);
      storages.set(key, root);
      if (!Array.isArray(view)) return root;
      const [, offset, length] = view as unknown[];
      if (!isCount(offset) || !isCount(length) || offset + length > count)
        throw new PickleError(`a view of storage ${brief(key)} exceeds its ${count} elements`);
      return new Storage(key, type, count, offset);
    },
  };
}

const bytesOf = ({ type, count }: Storage): number => count * (type === UNTYPED ? 1 : BYTES[type]);

/** Reads `length` bytes of a storage. */
type ReadStorage = (from: number, length: number) => Promise<Uint8Array>;

/**
 * @param entries of the archive, `pickle` among them
 * @throws CheckpointError
 */
export async function openTorchZip(
  file: Bytes,
  entries: ReadonlyMap<string, ZipEntry>,
  pickle: string,
): Promise<WeightFile> {
  const folder = pickle.slice(0, -"data.pkl".length);
  const storages = new Map<string, Storage>();
  const entry = entries.get(pickle)!;
  if (entry.size > MAX_PICKLE) throw damaged(file.name, `its pickle has ${entry.size} bytes, more than ${MAX_PICKLE}`);
  const value = parse(file.name, await entry.read(), 0, vocabulary(storages)).value;
  const order = await entries.get(`${folder}byteorder`)?.read(0, 3);
  const little = order === undefined || Buffer.from(order).toString() === "lit";
  return weightFile(file, value, little, (storage) => {
    const data = entries.get(`${folder}data/${storage.key}`) ?? entries.get(`${folder}tensors/${storage.key}`);
    if (!data) throw damaged(file.name, `storage ${brief(storage.key)} is not in the archive`);
    if (data.size !== bytesOf(storage)) {
      throw damaged(
        file.name,
        `storage ${brief(storage.key)} has ${data.size} bytes, its pickle says ${bytesOf(storage)}`,
      );
    }
    return (from, length) => data.read(from, length);
  });
}

/** A file that begins with `LEGACY_MAGIC`. @throws CheckpointError */
export async function openTorchLegacy(file: Bytes): Promise<WeightFile> {
  const head = await file.read(0, Math.min(file.size, MAX_PICKLE));
  const storages = new Map<string, Storage>();
  const words = vocabulary(storages);
  let at = 0;
  const next = (): unknown => {
    const { value, end } = parse(file.name, head, at, words);
    at = end;
    return value;
  };
  next();
  const protocol = next();
  if (protocol !== 1001) throw damaged(file.name, `PyTorch protocol ${String(protocol)}: only 1001 can be read`);
  const system = next();
  const little = !(system instanceof Map) || system.get("little_endian") !== false;
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw damaged(file.name, "it has no list of its storages");
  // Each storage is its number of elements, in eight bytes, and the elements.
  const places = new Map<string, number>();
  for (const key of keys as unknown[]) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (!storage || places.has(storage.key))
      throw damaged(file.name, "it lists a storage twice, or one that no tensor uses");
    if (at + 8 > file.size)
      throw damaged(file.name, `cut short: storage ${brief(storage.key)} should be at byte ${at}`);
    const header = Buffer.from(await file.read(at, 8));
    const count = Number(little ? header.readBigInt64LE() : header.readBigInt64BE());
    const end = at + 8 + bytesOf(storage);
    if (count !== storage.count) {
      throw damaged(
        file.name,
        `storage ${brief(storage.key)} has ${count} elements at byte ${at}, its pickle says ${storage.count}`,
      );
    }
    if (end > file.size)
      throw damaged(
        file.name,
        `cut short: storage ${brief(storage.key)} ends at byte ${end}, the file at ${file.size}`,
      );
    places.set(storage.key, at + 8);
    at = end;
  }
  return weightFile(file, value, little, ({ key }) => {
    const place = places.get(key);
    if (place === undefined) throw damaged(file.name, `storage ${brief(key)} is not in the file`);
    return (from, length) => file.read(place + from, length);
  });
}

function parse(path: string, bytes: Uint8Array, from: number, words: Vocabulary) {
  try {
    return unpickle(bytes, from, words);
  } catch (error) {
    if (error instanceof PickleError) throw damaged(path, error.message, error);
    throw error;
  }
}

function weightFile(file: Bytes, value: unknown, little: boolean, find: (storage: Storage) => ReadStorage): WeightFile {
  const found = findDictionaries(file.name, value, (part): part is View => part instanceof View);
  const opened = openDictionaries(found, (name, view) => openView(file.name, name, view, little, find));
  return { path: file.name, format: "PyTorch", ...opened, metadata: {}, close: file.close };
}

function openView(
  path: string,
  name: string,
  { storage, type, offset, shape, strides }: View,
  little: boolean,
  find: (storage: Storage) => ReadStorage,
): ForeignTensor {
  const count = elements(path, name, shape);
  const size = BYTES[type];
  const span = count === 0 ? 0 : 1 + shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis]!, 0);
  const there = Math.floor(bytesOf(storage) / size);
  // The gaps between its elements are read too.
  elements(path, name, [span]);
  if (offset + span > there || count > span) {
    throw damaged(
      path,
      `"${brief(name)}" of shape ${shape.join("×")} takes ${count} elements, ${offset} to ${offset + span}, ` +
        `of a storage of ${there}`,
    );
  }
  const read = find(storage);
  return {
    shape,
    async read() {
      const numbers = toFloat32(await read(offset * size, span * size), type, little);
      return numbers.length === count && isRowMajor(shape, strides) ? numbers : gather(numbers, shape, strides);
    },
  };
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis]!;
  }
  return true;
}
