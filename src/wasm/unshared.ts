/**
 * The kernels are compiled for a memory that threads share. Web pages can count on that only if special HTTP headers
 * came with them, and files have none. The code is the same for a memory that nobody shares: a single bit tells them
 * apart.
 */
import { DeviceError } from "../errors.ts";

/** Of a binary's sections, and of the kinds of imports. */
const IMPORTS = 2;
const MEMORY = 2;
/** The bit of a memory's limits. */
const SHARED = 2;

/**
 * The same binary with its memory, its only import but functions, not shared.
 * @throws DeviceError when it is no such binary
 */
export function unshared(binary: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(binary);
  // After the magic number and the version: sections, each an id, a size, and so many bytes.
  const reader = new Reader(copy, 8);
  while (reader.at < copy.length) {
    const section = reader.byte();
    const end = reader.number() + reader.at;
    if (section !== IMPORTS) {
      reader.at = end;
      continue;
    }
    for (let count = reader.number(); count > 0; count--) {
      reader.skip(reader.number());
      reader.skip(reader.number());
      if (reader.byte() === MEMORY) {
        copy[reader.at]! &= ~SHARED;
        return copy;
      }
      // A function: the number of its type.
      reader.number();
    }
  }
  throw new DeviceError("the CPU kernels are damaged: this WebAssembly imports no memory");
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.#bytes[this.at++] ?? 0;
  }

  /** An unsigned LEB128 number: seven bits a byte, the lowest first. */
  number(): number {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  skip(bytes: number): void {
    this.at += bytes;
  }
}
