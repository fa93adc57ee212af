/** Bytes that are read by their place: a file on disk, a part of one (a member of a .tar), or memory. */
import { open } from "node:fs/promises";
import { DataError } from "../errors.ts";
import { READ_AT_ONCE, reason, specialKind } from "./files.ts";

/**
 * Where a file, or a part of one, lies, so that a worker can read it by itself. Without `length` it is all of the file `path`, else
 * so many bytes of it from `offset` on.
 */
export interface Place {
  readonly path: string;
  readonly offset: number;
  readonly length?: number;
  /** Set where the bytes are no file but pixels as they are: a square of that side, interleaved RGB. */
  readonly rawSide?: number;
  /** XXH3 (64 bits) of the bytes, where it is known. */
  readonly hash?: bigint;
}

export interface Bytes {
  /** For people: the path of the file; of a member, behind that of its archive. */
  readonly name: string;
  readonly size: number;
  /** `length` bytes from `at`; they may share memory with others. @throws DataError when they are not all there */
  read(at: number, length: number): Promise<Uint8Array>;
  /** Where they lie on disk; absent in memory. */
  place?(at: number, length: number): Place;
  close(): Promise<void>;
}

/** @throws DataError when there is no such file or it can't be read by place */
export async function openFile(path: string): Promise<Bytes & AsyncDisposable> {
  const file = await open(path, READ_AT_ONCE).catch((error: Error) => {
    throw new DataError(`can't open ${path}: ${reason(error)}`, { cause: error });
  });
  const found = await file.stat();
  const { size } = found;
  const kind = specialKind(found);
  if (kind) {
    await file.close();
    throw new DataError(`${path} is a ${kind}, which can't be read from one place to another: save it to a file`);
  }
  let closing: Promise<void> | undefined;
  // Both parts of a set close what they share.
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

/** Bytes that are in memory already. */
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

/** `size` bytes of `whole` from `start`. They are closed with the whole. */
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

/** All of them, when there are no more than `limit`. @throws DataError when there are */
export async function readWhole(bytes: Bytes, limit: number): Promise<Uint8Array> {
  if (bytes.size > limit) throw new DataError(`${bytes.name} has ${bytes.size} bytes, more than ${limit} allowed here`);
  return bytes.read(0, bytes.size);
}

/** As `readWhole`, as UTF-8. A byte order mark is left out. */
export async function readText(bytes: Bytes, limit: number): Promise<string> {
  const whole = await readWhole(bytes, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(whole);
  } catch (error) {
    throw new DataError(`${bytes.name} is no text in UTF-8: save it as such`, { cause: error });
  }
}

/** The same bytes, to read numbers from. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** As text, a character a byte (ISO 8859-1). */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The beginning of a text of somebody else's that may be long, for a message. */
export function excerpt(text: string): string {
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}

function requireWithin(name: string, size: number, at: number, length: number): void {
  if (at >= 0 && length >= 0 && at + length <= size) return;
  throw new DataError(`${name} has ${size} bytes, and ${length} from byte ${at} on were asked for`);
}
