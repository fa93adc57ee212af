/** Reads image files where a `FileRange` says that they lie, without waiting for other threads. */
import { closeSync, fstatSync, readSync } from "node:fs";
import type { FileRange } from "../io/bytes.ts";
import { openToRead, reason } from "../io/files.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { BadImage } from "./image.ts";

/** Archives that are held open; a set may have a thousand. */
const OPEN_FILES = 32;
/** A larger image file is refused before it is read. */
export const MAX_FILE_BYTES = 512 * 2 ** 20;

/** Holds the archives that were read last open, and uses one buffer again and again. */
export class Reader {
  /** In the order of their last use. */
  readonly #files = new Map<string, number>();
  #buffer = new Uint8Array(2 ** 20);

  /** The image at `place`, valid until the next call. @throws BadImage when it can't be read */
  read(place: FileRange): Encoded | Pixels {
    const { rawSide, hash } = place;
    const length = place.length ?? this.#sizeOf(place.path);
    if (length > MAX_FILE_BYTES) throw new BadImage(`it has ${length} bytes, more than ${MAX_FILE_BYTES}`);
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
    const bytes = this.#buffer.subarray(0, length);
    this.readInto(place, bytes);
    if (hash !== undefined) verify(bytes, hash);
    if (rawSide === undefined) return { kind: "encoded", bytes };
    return { kind: "pixels", pixels: bytes, width: rawSide, height: rawSide };
  }

  /** Fills `target` with the bytes at `place`. @throws BadImage */
  readInto({ path, offset, length }: FileRange, target: Uint8Array): void {
    try {
      const file = this.#open(path);
      try {
        for (let done = 0; done < target.length;) {
          const count = readSync(file, target, done, target.length - done, offset + done);
          if (count === 0)
            throw new BadImage(`${done} of ${target.length} bytes at ${offset} of ${path}: it has shrunk`);
          done += count;
        }
      } finally {
        // A file that is an image is read once.
        if (length === undefined) this.#close(path);
      }
    } catch (error) {
      throw error instanceof BadImage ? error : new BadImage(`can't be read: ${reason(error)}`);
    }
  }

  close(): void {
    for (const path of [...this.#files.keys()]) this.#close(path);
  }

  #sizeOf(path: string): number {
    try {
      return fstatSync(this.#open(path)).size;
    } catch (error) {
      throw new BadImage(`can't be read: ${reason(error)}`);
    }
  }

  #open(path: string): number {
    let file = this.#files.get(path);
    if (file === undefined) {
      const [oldest] = this.#files.keys();
      if (this.#files.size >= OPEN_FILES && oldest !== undefined) this.#close(oldest);
      file = openToRead(path);
    } else this.#files.delete(path);
    this.#files.set(path, file);
    return file;
  }

  #close(path: string): void {
    const file = this.#files.get(path);
    if (file !== undefined) closeSync(file);
    this.#files.delete(path);
  }
}

/** XXH3 with 64 bits, as `Bun.hash.xxHash3` computes it. @throws BadImage when the bytes are not those that were written */
export function verify(bytes: Uint8Array, hash: bigint): void {
  const found = Bun.hash.xxHash3(bytes);
  if (found !== hash) {
    throw new BadImage(`its checksum is ${found.toString(16)}, not ${hash.toString(16)}: the file has been damaged`);
  }
}
