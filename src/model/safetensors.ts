/**
 * The safetensors format (github.com/huggingface/safetensors): 8 bytes with the length of the header, the header as
 * JSON, then the numbers. A file is hostile until parsed: every length and offset is checked before it is used.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { size } from "../autograd/tensor.ts";
import { CheckpointError, oneLine } from "../errors.ts";
import { reason, replaceFile } from "../files.ts";
import { BYTES, toFloat32, type NumberType } from "./import/numbers.ts";

/** A tensor to be written; its numbers are fetched when their turn comes. */
export interface TensorSource {
  readonly name: string;
  readonly shape: readonly number[];
  read(): Promise<Float32Array>;
}

/** The largest header that is believed. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;

/** Writes tensors of float32 and some strings, atomically. Equal contents give equal bytes. */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const { name, shape } of tensors) {
    const start = end;
    end += 4 * size(shape);
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const json = JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  // Padded with spaces, so that the numbers start at a multiple of 8.
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  await replaceFile(path, async (append) => {
    append(length);
    append(padded);
    for (const tensor of tensors) {
      const numbers = await tensor.read();
      append(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    }
  });
}

export interface TensorEntry {
  readonly shape: readonly number[];
  /** Reads the numbers. @throws CheckpointError when the file can no longer be read. */
  read(): Float32Array;
}

export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  close(): void;
}

/** The format's names of the types of numbers that can be read. */
const TYPES: ReadonlyMap<unknown, NumberType> = new Map<unknown, NumberType>([
  ...([["F32", "f32"], ["F16", "f16"], ["BF16", "bf16"], ["F64", "f64"], ["U8", "u8"], ["BOOL", "u8"]] as const), // prettier-ignore
  ...([["I8", "i8"], ["I16", "i16"], ["I32", "i32"], ["I64", "i64"]] as const), // prettier-ignore
]);

/**
 * Opens a file of float32 tensors, or, where it is somebody else's, of any numbers, which are read as float32.
 * @throws CheckpointError when it is missing, cut short or malformed
 */
export function openSafetensors(path: string, types: "F32" | "any" = "F32"): Safetensors {
  const fail = (what: string): never => {
    // Names in it may be of any length, and hold anything.
    throw new CheckpointError(oneLine(`${path}: ${what.length > 300 ? `${what.slice(0, 299)}…` : what}`));
  };
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    return fail(`can't be opened: ${reason(error)}`);
  }
  const readAt = (position: number, length: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = readSync(file, bytes, done, length - done, position + done);
      if (count === 0) fail(`cut short: ${position + length} bytes expected, ${position + done} there`);
      done += count;
    }
    return bytes;
  };
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) fail("not a file");
    if (stat.size < 8) fail(`not a safetensors file: only ${stat.size} bytes`);
    const headerBytes = Number(new DataView(readAt(0, 8).buffer).getBigUint64(0, true));
    if (headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > stat.size) {
      fail(`not a safetensors file, or cut short: it announces a header of ${headerBytes} bytes, and has ${stat.size}`);
    }
    const header = parseHeader(readAt(8, headerBytes), types, fail);
    const start = 8 + headerBytes;
    const tensors = new Map<string, TensorEntry>();
    for (const [name, { shape, type, offsets }] of header.tensors) {
      const [from, to] = offsets;
      if (start + to > stat.size) fail(`cut short: ${name} ends at byte ${start + to}, the file at ${stat.size}`);
      tensors.set(name, { shape, read: () => toFloat32(readAt(start + from, to - from), type) });
    }
    return { metadata: header.metadata, tensors, close: () => closeSync(file) };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

interface Header {
  metadata: Record<string, string>;
  tensors: Map<string, { shape: number[]; type: NumberType; offsets: [number, number] }>;
}

function parseHeader(bytes: Uint8Array, types: "F32" | "any", fail: (what: string) => never): Header {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    fail(`its header is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(json)) fail("its header is not an object");
  const header: Header = { metadata: {}, tensors: new Map() };
  for (const [name, entry] of Object.entries(json)) {
    if (!isRecord(entry)) fail(`its header says nothing sensible of ${name}`);
    if (name === "__metadata__") {
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== "string") fail(`metadata ${key} is not a string`);
        header.metadata[key] = value;
      }
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = entry;
    const type = TYPES.get(dtype);
    if (!type || (types === "F32" && type !== "f32")) {
      return fail(`${name} is of type ${String(dtype)}; only ${types === "F32" ? types : "plain numbers"} can be read`);
    }
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) fail(`${name} has no sensible shape or place`);
    const [from, to] = offsets as [number, number];
    const bytesNeeded = BYTES[type] * size(shape);
    if (to - from !== bytesNeeded)
      fail(`${name} of shape ${shape.join("×")} needs ${bytesNeeded} bytes, has ${to - from}`);
    header.tensors.set(name, { shape, type, offsets: [from, to] });
  }
  return header;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
