/** Reads image files from a `FileRange`, synchronously, for worker threads. */
import { closeSync, fstatSync, readSync } from "node:fs";
import type { FileRange } from "../io/bytes.ts";
import { openToRead, reason } from "../io/files.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { BadImage } from "./image.ts";

/** Archives kept open; a set may have a thousand. */
const OPEN_FILES = 32;
/** Larger image files are refused before reading. */
export const MAX_FILE_BYTES = 512 * 2 ** 20;

/** Keeps recently used archives open, and reuses one buffer. */
export class Reader {
  /** Least recently used first. */
  readonly #files = new Map<string, number>();
  #buffer = new Uint8Array(2 ** 20);

  /** The image at `place`; valid until the next call. @throws BadImage when it can't be read */
  read(place: FileRange): Encoded | Pixels {
    const { rawSide, hash } = place;
    const length = place.length ?? this.#sizeOf(place.path);
    if (length > MAX_FILE_BYTES) throw new BadImage(`it has ${length} bytes; at most ${MAX_FILE_BYTES} are allowed`);
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
            throw new BadImage(
              `only ${done} of ${target.length} bytes at byte ${offset} of ${path}: the file has shrunk`,
            );
          done += count;
        }
      } finally {
        // A whole file is an image, read only once; archives stay open.
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

/** Checks bytes against their XXH3 (64 bits). @throws BadImage when they differ */
export function verify(bytes: Uint8Array, hash: bigint): void {
  const found = Bun.hash.xxHash3(bytes);
  if (found !== hash) {
    throw new BadImage(`its checksum is ${found.toString(16)}, not ${hash.toString(16)}: the file is damaged`);
  }
}
