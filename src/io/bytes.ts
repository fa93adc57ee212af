/** Random access to bytes: a file on disk, a range of one (a member of a .tar), or memory. */
import { open } from "node:fs/promises";
import { DataError } from "../errors.ts";
import { READ_FLAGS, reason, specialKind } from "./files.ts";

/** A file, or `length` bytes of one from `offset`, which a worker can read by itself. Without `length`, the whole file. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length?: number;
  /** Set where the bytes are raw pixels rather than an image file: the side of a square, interleaved RGB. */
  readonly rawSide?: number;
  /** XXH3 (64 bits) of the bytes, where known. */
  readonly hash?: bigint;
}

export interface Bytes {
  /** For messages: the file's path; for a member, the archive's path followed by its own. */
  readonly name: string;
  readonly size: number;
  /** `length` bytes from `at`; the result may share memory. @throws DataError when the range is out of bounds or unreadable */
  read(at: number, length: number): Promise<Uint8Array>;
  /** Where the bytes are on disk; absent when they are in memory. */
  place?(at: number, length: number): FileRange;
  close(): Promise<void>;
}

/** @throws DataError when the file does not exist or is not seekable */
export async function openFile(path: string): Promise<Bytes & AsyncDisposable> {
  const file = await open(path, READ_FLAGS).catch((error: Error) => {
    throw new DataError(`can't open ${path}: ${reason(error)}`, { cause: error });
  });
  const found = await file.stat();
  const { size } = found;
  const kind = specialKind(found);
  if (kind) {
    await file.close();
    throw new DataError(`${path} is a ${kind}, and images are read out of order: save it to a file`);
  }
  let closing: Promise<void> | undefined;
  // Both splits of a set close the file they share.
  const close = () => (closing ??= file.close());
  return {
    name: path,
    size,
    async read(at, length) {
      requireWithin(path, size, at, length);
      const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, at).catch((error: Error) => {
        throw new DataError(`can't read ${path} at byte ${at}: ${reason(error)}`, { cause: error });
      });
      if (bytesRead !== length)
        throw new DataError(`${path}: ${bytesRead} of ${length} bytes at byte ${at}: the file has shrunk`);
      return buffer;
    },
    place: (offset, length) => ({ path, offset, length }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Bytes already in memory. */
export function inMemory(name: string, bytes: Uint8Array): Bytes {
  return {
    name,
    size: bytes.length,
    async read(at, length) {
      requireWithin(name, bytes.length, at, length);
      return bytes.subarray(at, at + length);
    },
    close: async () => {},
  };
}

/** `size` bytes of `whole` from `start`. Closing is left to the whole. */
export function part(whole: Bytes, name: string, start: number, size: number): Bytes {
  return {
    name,
    size,
    async read(at, length) {
      requireWithin(name, size, at, length);
      return whole.read(start + at, length);
    },
    ...(whole.place && { place: (at, length) => whole.place!(start + at, length) }),
    close: async () => {},
  };
}

/** All bytes. @throws DataError when there are more than `limit` */
export async function readWhole(bytes: Bytes, limit: number): Promise<Uint8Array> {
  if (bytes.size > limit)
    throw new DataError(`${bytes.name} has ${bytes.size} bytes; at most ${limit} are allowed here`);
  return bytes.read(0, bytes.size);
}

/** All bytes as UTF-8 text, without a byte order mark. @throws DataError as `readWhole`, or when it isn't UTF-8 */
export async function readText(bytes: Bytes, limit: number): Promise<string> {
  const whole = await readWhole(bytes, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(whole);
  } catch (error) {
    throw new DataError(`${bytes.name} is not UTF-8 text: save it as UTF-8`, { cause: error });
  }
}

/** A DataView of the same memory. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The bytes as text, one character per byte (ISO 8859-1). */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The first 100 characters of untrusted text, to quote in a message. */
export function excerpt(text: string): string {
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}

function requireWithin(name: string, size: number, at: number, length: number): void {
  if (at >= 0 && length >= 0 && at + length <= size) return;
  throw new DataError(`${name} has ${size} bytes; can't read ${length} from byte ${at}`);
}
