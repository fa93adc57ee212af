/** The process's decoding threads: one a core, started when they are first needed. */
import type { Encoded, Pixels } from "./dataset.ts";
import type { DecodeJob, DecodeResult } from "./decode_worker.ts";
import { DecodingMemory } from "./decoding_memory.ts";
import { Threads } from "./threads.ts";

export type Row = DecodeJob["rows"][number];

/** Shared by all threads of the process that decode. */
export const decodingMemory = new DecodingMemory().shared;

let threads: Threads<DecodeJob, DecodeResult> | undefined;

/**
 * Decodes images into rows of `records`, each `side` · `side` · 3 bytes.
 * @returns of each row what is wrong with its image, undefined if nothing; undefined altogether when it was not wanted
 * any more
 */
export function decodeRows(
  records: SharedArrayBuffer,
  side: number,
  rows: readonly Row[],
  isWanted?: () => boolean,
): Promise<DecodeResult | undefined> {
  threads ??= new Threads(new URL("./decode_worker.ts", import.meta.url));
  return threads.run({ records, side, rows, memory: decodingMemory }, isWanted);
}

/**
 * The image with memory of its own, to be sent to a worker: of an array that shows a part of an archive in memory, the
 * worker would be sent the whole archive. (`slice` would not do: that of a Buffer copies nothing.)
 */
export function alone(image: Encoded | Pixels): Encoded | Pixels {
  return image.kind === "encoded"
    ? { ...image, bytes: new Uint8Array(image.bytes) }
    : { ...image, pixels: new Uint8Array(image.pixels) };
}
