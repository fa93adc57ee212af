/**
 * Reads variables from a level 5 MAT-file: struct arrays, text and numbers. An element is a tag (type and size) and its
 * bytes; a compressed one contains another element. "MAT-File Format", The MathWorks, R2019b, chapter 1.
 */
import { inflateSync } from "node:zlib";
import { DataError } from "../../errors.ts";
import { latin1, viewOf } from "../../io/bytes.ts";

/** Text, numbers, or structs of those; other values are left out. */
type MatValue = string | readonly number[] | readonly Struct[];
export type Struct = ReadonlyMap<string, string | readonly number[]>;

const HEADER_BYTES = 128;
/** Limit for all compressed elements together; ILSVRC's largest meta.mat has about 2 MB. */
const MAX_INFLATED_BYTES = 16 * 2 ** 20;
/** Limits for empty structs too, which take memory here but none in the file; WordNet has 82,115 noun synsets. */
const [MAX_STRUCTS, MAX_FIELDS] = [100_000, 64];
const [MATRIX, COMPRESSED] = [14, 15];
const [STRUCT_CLASS, CHAR_CLASS, FIRST_NUMBER_CLASS, LAST_NUMBER_CLASS] = [2, 4, 6, 15];

interface Element {
  readonly type: number;
  readonly body: Uint8Array;
  /** Its offset in the enclosing bytes. */
  readonly at: number;
}

/**
 * Reads a variable.
 * @param name the file's, for messages
 * @throws DataError with the byte at which the file is damaged, or when it has no such variable
 */
export function readVariable(file: Uint8Array, variable: string, name: string): MatValue {
  const mark = file.length < HEADER_BYTES ? "" : String.fromCharCode(file[126]!, file[127]!);
  if (mark !== "IM" && mark !== "MI")
    throw new DataError(`${name}: no "IM" or "MI" at byte 126: it is not a level 5 MAT-file`);
  const reader = new MatReader(name, mark === "IM");
  let left = MAX_INFLATED_BYTES;
  for (const element of reader.elements(file, HEADER_BYTES)) {
    let [matrix, within] = [element, reader];
    if (element.type === COMPRESSED) {
      const inflated = inflate(element, left, name);
      left -= inflated.length;
      within = new MatReader(`${name}, inflated from byte ${element.at}`, mark === "IM");
      const [inner] = within.elements(inflated, 0);
      if (!inner) continue;
      matrix = inner;
    }
    if (matrix.type !== MATRIX || matrix.body.length === 0) continue;
    const found = within.matrix(matrix, variable);
    if (found !== undefined) return found;
  }
  throw new DataError(`${name}: no variable "${variable}" of text, numbers or structs`);
}

function inflate({ body, at }: Element, left: number, name: string): Uint8Array {
  try {
    return inflateSync(body, { maxOutputLength: Math.max(left, 1) });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what =
      code === "ERR_BUFFER_TOO_LARGE" ? `inflates to more than ${MAX_INFLATED_BYTES} bytes` : `is damaged (${message})`;
    throw new DataError(`${name}: the compressed element at byte ${at} ${what}`, { cause: error });
  }
}

class MatReader {
  readonly #name: string;
  readonly #little: boolean;

  constructor(name: string, little: boolean) {
    this.#name = name;
    this.#little = little;
  }

  /** The elements in `bytes` from `at`. @param base offset of `bytes` in the file */
  *elements(bytes: Uint8Array, at: number, base = 0): Generator<Element> {
    const view = viewOf(bytes);
    while (at < bytes.length) {
      if (at + 8 > bytes.length)
        throw this.#damaged(base + at, `${bytes.length - at} bytes left, too few for an element`);
      const first = view.getUint32(at, this.#little);
      // Up to 4 bytes are stored in the tag itself, whose upper half is then the size.
      const isSmall = first >>> 16 !== 0;
      const type = isSmall ? first & 0xffff : first;
      const size = isSmall ? first >>> 16 : view.getUint32(at + 4, this.#little);
      const start = at + (isSmall ? 4 : 8);
      const room = isSmall ? 4 : bytes.length - start;
      if (size > room) throw this.#damaged(base + at, `an element of ${size} bytes, but only ${room} are left`);
      yield { type, body: bytes.subarray(start, start + size), at: base + at };
      // All but compressed elements are padded to multiples of 8 bytes.
      at = isSmall ? at + 8 : start + (type === COMPRESSED ? size : Math.ceil(size / 8) * 8);
    }
  }

  /** The value of an array; undefined if its name is not `wanted`. Its elements: flags, dimensions, name, contents. */
  matrix({ body, at }: Element, wanted?: string): MatValue | undefined {
    const parts = this.elements(body, 0, at + 8);
    const next = (what: string): Element => {
      const { value, done } = parts.next();
      if (done) throw this.#damaged(at, `an array without ${what}`);
      return value;
    };
    const flags = this.#numbers(next("flags"))[0] ?? 0;
    const dimensions = this.#numbers(next("dimensions"));
    const variable = latin1(next("a name").body);
    if (wanted !== undefined && variable !== wanted) return undefined;
    const kind = flags & 0xff;
    if (kind === STRUCT_CLASS) return this.#structs(next, dimensions, at, wanted !== undefined);
    if (kind === CHAR_CLASS) return this.#text(next("text"));
    if (kind < FIRST_NUMBER_CLASS || kind > LAST_NUMBER_CLASS) return undefined;
    return this.#numbers(next("numbers"));
  }

  /** An array of structs, whose fields are arrays themselves. Nested structs are left out. */
  #structs(
    next: (what: string) => Element,
    dimensions: readonly number[],
    at: number,
    isOutermost: boolean,
  ): Struct[] | undefined {
    if (!isOutermost) return undefined;
    const nameLength = this.#numbers(next("the length of field names"))[0] ?? 0;
    const names = next("field names").body;
    if (!(nameLength > 0 && names.length > 0 && names.length % nameLength === 0))
      throw this.#damaged(at, `${names.length} bytes of field names of ${nameLength} each`);
    const fields = Array.from({ length: names.length / nameLength }, (_, k) =>
      latin1(names.subarray(k * nameLength, (k + 1) * nameLength)).replace(/\0.*$/s, ""),
    );
    const count = dimensions.reduce((product, size) => product * size, 1);
    if (fields.length > MAX_FIELDS || !(count >= 0 && count <= MAX_STRUCTS))
      throw this.#damaged(at, `${count} structs of ${fields.length} fields, more than ${MAX_STRUCTS} of ${MAX_FIELDS}`);
    const structs: Struct[] = [];
    // A false count fails at the first missing element.
    for (let k = 0; k < count; k++) {
      const struct = new Map<string, string | readonly number[]>();
      for (const field of fields) {
        const element = next(`"${field}" of struct ${k}, of ${count}`);
        if (element.type !== MATRIX) throw this.#damaged(element.at, `type ${element.type} where an array should be`);
        const value = element.body.length === 0 ? undefined : this.matrix(element);
        if (typeof value === "string" || (value && isNumbers(value))) struct.set(field, value);
      }
      structs.push(struct);
    }
    return structs;
  }

  #text({ type, body, at }: Element): string {
    // 1, 2, 16: int8, uint8, UTF-8. 4, 17: uint16, UTF-16.
    if (type === 1 || type === 2 || type === 16) return Buffer.from(body).toString("utf8");
    if (type !== 4 && type !== 17) throw this.#damaged(at, `text of type ${type}`);
    const units = Buffer.from(body.subarray(0, body.length & ~1));
    return (this.#little ? units : units.swap16()).toString("utf16le");
  }

  #numbers({ type, body, at }: Element): number[] {
    const [size, read] = NUMBERS[type] ?? [];
    if (!size || !read) throw this.#damaged(at, `numbers of type ${type}`);
    const view = viewOf(body);
    return Array.from({ length: Math.floor(body.length / size) }, (_, k) => read(view, k * size, this.#little));
  }

  #damaged(at: number, what: string): DataError {
    return new DataError(`${this.#name}: at byte ${at} ${what}: the file is damaged, unpack or download it again`);
  }
}

type Read = (view: DataView, at: number, little: boolean) => number;

/** Size in bytes and reader, by type. */
const NUMBERS: Readonly<Record<number, readonly [number, Read]>> = {
  1: [1, (view, at) => view.getInt8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, little) => view.getInt16(at, little)],
  4: [2, (view, at, little) => view.getUint16(at, little)],
  5: [4, (view, at, little) => view.getInt32(at, little)],
  6: [4, (view, at, little) => view.getUint32(at, little)],
  7: [4, (view, at, little) => view.getFloat32(at, little)],
  9: [8, (view, at, little) => view.getFloat64(at, little)],
  12: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
  13: [8, (view, at, little) => Number(view.getBigUint64(at, little))],
};

const isNumbers = (value: readonly unknown[]): value is readonly number[] => typeof value[0] !== "object";
