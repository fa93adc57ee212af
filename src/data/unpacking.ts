/** The memory budget for decompressing a set's archives. */
import { gunzip } from "node:zlib";
import { DataError } from "../errors.ts";
import { inMemory, readWhole, type Bytes } from "../io/bytes.ts";

/** CIFAR is 184 MB. */
const MAX_UNPACKED_BYTES = 2 ** 30;

/** One budget for all archives of a set: many small ones can decompress to as much as a large one. */
export class Unpacking {
  readonly #limit: number;
  #left: number;
  /** Archives are decompressed one after the other, so that each is checked against what the others have left. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(limit = MAX_UNPACKED_BYTES) {
    this.#limit = limit;
    this.#left = limit;
  }

  /** Decompresses gzip into memory. @throws DataError when it is damaged or exceeds the budget */
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
    const others = before > 0 ? `, with ${megabytes(before)} of the set's other archives,` : "";
    return new DataError(
      `${bytes.name}${where} is compressed (gzip) and expands${others} to more than ${megabytes(this.#limit)}, too much ` +
        `to hold in memory: unpack it, and pass the folder or a .tar`,
    );
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
