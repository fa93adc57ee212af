/** The process's decoding threads: one per core, started on first use. */
import { dropped } from "../io/garbage.ts";
import type { ResizeFilter } from "../net/recipe.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import type { DecodeJob, DecodeResult, ImageForRow } from "./decode_worker.ts";
import { DecodingMemory } from "./decoding_memory.ts";
import { WorkerPool } from "./worker_pool.ts";

/** The memory budget shared by all decoding threads of the process. */
export const decodingMemory = new DecodingMemory().shared;

let threads: WorkerPool<DecodeJob, DecodeResult> | undefined;

/**
 * Decodes images into rows of `records`, each side × side × 3 bytes.
 * @param resize the filter by which they are resized
 * @param isWanted asked before starting
 * @returns for each image what is wrong with it, or undefined; undefined altogether when no longer wanted
 */
export function decodeRows(
  records: SharedArrayBuffer,
  side: number,
  resize: ResizeFilter,
  images: readonly ImageForRow[],
  isWanted?: () => boolean,
): Promise<DecodeResult | undefined> {
  threads ??= new WorkerPool(new URL("./decode_worker.ts", import.meta.url));
  return threads.run({ records, side, resize, images, memory: decodingMemory }, isWanted);
}

/**
 * A copy of the image with its own memory, to send to a worker: posting a view of an in-memory archive would send the
 * whole archive. (Not `slice`, which for a Buffer copies nothing.) It is not needed any more when the worker has its own.
 */
export function withOwnMemory(image: Encoded | Pixels): Encoded | Pixels {
  dropped(image.kind === "encoded" ? image.bytes.length : image.pixels.length);
  return image.kind === "encoded"
    ? { ...image, bytes: new Uint8Array(image.bytes) }
    : { ...image, pixels: new Uint8Array(image.pixels) };
}
