/** How much of a set may be unpacked to memory. */
import { gunzip } from "node:zlib";
import { DataError } from "../errors.ts";
import { inMemory, readWhole, type Bytes } from "../io/bytes.ts";

/** CIFAR is 184 MB. */
const MAX_UNPACKED_BYTES = 2 ** 30;

/** What all archives of a set may take together: many small ones can unpack to as much as a large one. */
export class Unpacking {
  readonly #limit: number;
  #left: number;
  /** Archives are unpacked one after the other, so that each is held against what the others have left. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(limit = MAX_UNPACKED_BYTES) {
    this.#limit = limit;
    this.#left = limit;
  }

  /** The contents of gzip's `bytes`, in memory. @throws DataError when they are damaged, or more than is left */
  gunzip(bytes: Bytes): Promise<Bytes> {
    const unpacked = this.#turn.then(() => this.#gunzip(bytes));
    this.#turn = unpacked.catch(() => {});
    return unpacked;
  }

  async #gunzip(bytes: Bytes): Promise<Bytes> {
    if (bytes.size > this.#left) throw this.#tooLarge(bytes);
    const packed = await readWhole(bytes, this.#left);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    gunzip(packed, { maxOutputLength: Math.max(1, this.#left) }, (error, result) => {
      if (!error) resolve(result);
      else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") reject(this.#tooLarge(bytes));
      else reject(new DataError(`${bytes.name} is damaged (${error.message}): download it again`, { cause: error }));
    });
    const unpacked = await promise;
    this.#left -= unpacked.length;
    return inMemory(bytes.name, unpacked);
  }

  #tooLarge(bytes: Bytes): DataError {
    const offset = bytes.place?.(0, 0).offset ?? 0;
    const where = offset > 0 ? ` (at byte ${offset} of its archive)` : "";
    const before = this.#limit - this.#left;
    const others = before > 0 ? `, with the ${megabytes(before)} that were unpacked of the set before,` : "";
    return new DataError(
      `${bytes.name}${where} is compressed (gzip) and unpacks${others} to more than ${megabytes(this.#limit)}, which is ` +
        `too much to read in memory: unpack it, and give the folder or .tar`,
    );
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
