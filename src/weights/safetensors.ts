/**
 * The safetensors format (github.com/huggingface/safetensors): the header's length in 8 bytes, the header as JSON, then
 * the numbers. A file is hostile until parsed: every length and offset is checked before it is used.
 *
 * Files written here have checksums in their metadata, which other readers ignore: XXH3 of the header and of each
 * tensor, in hexadecimal and in the order of the file. They reveal, when a part is read, that its bits have changed on
 * the disk or that it was never written.
 */
import { closeSync, fstatSync, readSync } from "node:fs";
import { size } from "../engine/tensor.ts";
import { CheckpointError, oneLine } from "../errors.ts";
import { openToRead, reason, replaceFile, type Append } from "../io/files.ts";
import { isRecord } from "../rules.ts";
import { BYTES, isCounts, toFloat32, type NumberType } from "./import/numbers.ts";

/** A tensor to write; its numbers are fetched when it is their turn. */
export interface TensorSource {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether to write its numbers in half precision. */
  readonly half?: boolean;
  read(): Promise<Float32Array>;
}

/** Longer headers are refused. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;
/** The checksums' key in the metadata. */
const CHECKSUMS = "alexnet.xxh3";
const DIGITS = 16;
const SUMS = /^[\da-f]{16}(?: [\da-f]{16})+$/;

/**
 * Writes tensors and metadata, atomically. Equal contents give equal bytes.
 * @param previous where to keep the file that it replaces
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
  previous?: string,
): Promise<void> {
  // Placeholders: the checksums replace these zeros once everything is written.
  const none = zeros(1 + tensors.length);
  const header: Record<string, unknown> = { __metadata__: { ...metadata, [CHECKSUMS]: none } };
  let end = 0;
  for (const { name, shape, half } of tensors) {
    const start = end;
    end += (half ? 2 : 4) * size(shape);
    header[name] = { dtype: half ? "F16" : "F32", shape, data_offsets: [start, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  // Padded with spaces, so that the numbers are aligned to 8 bytes.
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  const write = async (append: Append) => {
    append(length);
    append(padded);
    const sums = [checksum(padded)];
    for (const tensor of tensors) {
      const exact = await tensor.read();
      const numbers = tensor.half ? new Float16Array(exact) : exact;
      const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
      append(bytes);
      sums.push(checksum(bytes));
    }
    append(new TextEncoder().encode(sums.join(" ")), length.length + offsetOf(none, padded));
  };
  await replaceFile(path, write, previous);
}

const zeros = (count: number) => Array.from({ length: count }, () => "0".repeat(DIGITS)).join(" ");

/** Offset of the checksums in a header. It is unique, since quotes in names and in other metadata are escaped. */
function offsetOf(sums: string, header: Uint8Array<ArrayBuffer>): number {
  const key = `"${CHECKSUMS}":"`;
  const at = Buffer.from(header.buffer).indexOf(key + sums);
  return at < 0 ? at : at + key.length;
}

function checksum(bytes: Uint8Array): string {
  return Bun.hash.xxHash3(bytes).toString(16).padStart(DIGITS, "0");
}

export interface TensorEntry {
  readonly shape: readonly number[];
  /**
   * Reads the numbers.
   * @param room reused memory to read them into, if they fit: fresh memory takes as long as the reading
   * @throws CheckpointError when they can't be read, or are not those that were written
   */
  read(room?: ArrayBuffer): Float32Array;
}

export interface Safetensors extends Disposable {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  close(): void;
}

/** The format's names of the types that can be read. */
const TYPES: ReadonlyMap<unknown, NumberType> = new Map<unknown, NumberType>([
  ...([["F32", "f32"], ["F16", "f16"], ["BF16", "bf16"], ["F64", "f64"], ["U8", "u8"], ["BOOL", "u8"]] as const), // prettier-ignore
  ...([["I8", "i8"], ["I16", "i16"], ["I32", "i32"], ["I64", "i64"]] as const), // prettier-ignore
]);

/**
 * Opens a file of numbers of any type, which are converted to float32.
 * @throws CheckpointError when it is missing, cut short or malformed
 */
export function openSafetensors(path: string): Safetensors {
  const fail = (what: string): never => {
    // The message may quote names from the file, of any length and with any characters.
    throw new CheckpointError(oneLine(`${path}: ${what.length > 300 ? `${what.slice(0, 299)}…` : what}`));
  };
  let file: number;
  try {
    file = openToRead(path);
  } catch (error) {
    return fail(`can't be opened: ${reason(error)}`);
  }
  const readAt = (position: number, length: number, room?: ArrayBuffer): Uint8Array<ArrayBuffer> => {
    const bytes = room && length <= room.byteLength ? new Uint8Array(room, 0, length) : new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = readSync(file, bytes, done, length - done, position + done);
      if (count === 0) fail(`cut short: ${position + length} bytes expected, it has ${position + done}`);
      done += count;
    }
    return bytes;
  };
  try {
    const stat = fstatSync(file);
    if (stat.size < 8) fail(`not a safetensors file: only ${stat.size} bytes`);
    const headerBytes = Number(new DataView(readAt(0, 8).buffer).getBigUint64(0, true));
    if (headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > stat.size) {
      fail(
        `not a safetensors file, or cut short: its header should have ${headerBytes} bytes, the file has ${stat.size}`,
      );
    }
    const headerText = readAt(8, headerBytes);
    const header = parseHeader(headerText, fail);
    const start = 8 + headerBytes;
    const check = (what: string, bytes: Uint8Array, at: number, expected: string | undefined): void => {
      const found = expected && checksum(bytes);
      if (found === expected) return;
      const where = `bytes ${at} to ${at + bytes.length - 1}`;
      fail(`damaged: ${what}, ${where}, has the checksum ${found} instead of ${expected}`);
    };
    const sums = takeChecksums(header, headerText, fail);
    check("its header", sums.header, 8, sums.of.shift());
    const tensors = new Map<string, TensorEntry>();
    for (const [name, { shape, type, offsets }] of inOrder(header.tensors)) {
      const [from, to] = offsets;
      if (start + to > stat.size) fail(`cut short: ${name} ends at byte ${start + to}, the file at ${stat.size}`);
      const sum = sums.of.shift();
      const read = (room?: ArrayBuffer) => {
        const bytes = readAt(start + from, to - from, room);
        check(name, bytes, start + from, sum);
        return type === "f32" ? new Float32Array(bytes.buffer, 0, bytes.length / 4) : toFloat32(bytes, type);
      };
      tensors.set(name, { shape, read });
    }
    const close = () => closeSync(file);
    return { metadata: header.metadata, tensors, close, [Symbol.dispose]: close };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/**
 * Removes the checksums from the metadata. Returns those `of` the header and of each tensor, none for other programs'
 * files; and the header as it was when its checksum was taken.
 */
function takeChecksums(
  { metadata, tensors }: Header,
  bytes: Uint8Array<ArrayBuffer>,
  fail: (what: string) => never,
): { of: string[]; header: Uint8Array } {
  // Found by their pattern as well: the key itself may be damaged.
  const text = metadata[CHECKSUMS] ?? Object.values(metadata).find((value) => SUMS.test(value));
  if (text === undefined) return { of: [], header: bytes };
  delete metadata[CHECKSUMS];
  const at = offsetOf(text, bytes);
  const of = text.split(" ");
  if (at < 0 || of.length !== 1 + tensors.size || of.some((sum) => sum.length !== DIGITS)) {
    fail(`damaged: ${of.length} checksums for ${tensors.size} tensors`);
  }
  const header = bytes.slice();
  header.set(new TextEncoder().encode(zeros(of.length)), at);
  return { of, header };
}

interface Header {
  metadata: Record<string, string>;
  tensors: Map<string, { shape: number[]; type: NumberType; offsets: [number, number] }>;
}

function parseHeader(bytes: Uint8Array, fail: (what: string) => never): Header {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    fail(`its header is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(json)) fail("its header is not an object");
  const header: Header = { metadata: {}, tensors: new Map() };
  for (const [name, entry] of Object.entries(json)) {
    if (!isRecord(entry)) fail(`its header's entry for ${name} is not an object`);
    if (name === "__metadata__") {
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== "string") fail(`metadata ${key} is not a string`);
        header.metadata[key] = value;
      }
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = entry;
    const type = TYPES.get(dtype);
    if (!type) return fail(`${name} is of type ${String(dtype)}; only plain numbers can be read`);
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2)
      fail(`${name} has no valid shape and data_offsets`);
    const [from, to] = offsets as [number, number];
    const bytesNeeded = BYTES[type] * size(shape);
    if (to - from !== bytesNeeded)
      fail(`${name} of shape ${shape.join("×")} needs ${bytesNeeded} bytes, has ${to - from}`);
    header.tensors.set(name, { shape, type, offsets: [from, to] });
  }
  return header;
}

/** In the order of their data; a header may list them in any order. */
function inOrder(tensors: Header["tensors"]): Header["tensors"] {
  return new Map([...tensors].sort(([, a], [, b]) => a.offsets[0] - b.offsets[0]));
}
