/** A worker thread that reads and decodes images into memory shared with the main thread. */
import { setImmediate } from "node:timers/promises";
import type { FileRange } from "../io/bytes.ts";
import { dropped } from "../io/garbage.ts";
import type { ResizeFilter } from "../net/recipe.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { BadImage, openDecoder } from "./decode.ts";
import { Reader, verify } from "./reading.ts";
import { serve } from "./worker_pool.ts";

export interface DecodeJob {
  /** Rows of side × side × 3 bytes, to be filled with records. */
  readonly records: SharedArrayBuffer;
  readonly side: number;
  readonly resize: ResizeFilter;
  /** The memory budget of all threads: see `DecodingMemory`. */
  readonly memory: SharedArrayBuffer;
  readonly images: readonly ImageForRow[];
}

/** An image to be decoded into one row of `records`. */
export interface ImageForRow {
  readonly row: number;
  readonly image: FileRange | Encoded | Pixels;
}

/** For each image what is wrong with it; undefined where its record was written. */
export type DecodeResult = (string | undefined)[];

let decoder: ReturnType<typeof openDecoder> | undefined;
const reader = new Reader();

serve<DecodeJob, DecodeResult>(async ({ records, side, resize, images, memory }) => {
  const decode = await (decoder ??= openDecoder(memory));
  const bytes = side * side * 3;
  const results: DecodeResult = [];
  for (const { row, image } of images) {
    const record = new Uint8Array(records, row * bytes, bytes);
    try {
      if (!("kind" in image) && image.rawSide === side && image.length === bytes) {
        reader.readInto(image, record);
        if (image.hash !== undefined) verify(record, image.hash);
      } else {
        // @napi-rs/image frees an image's memory only between tasks of the event loop.
        await setImmediate();
        decode.record("kind" in image ? image : reader.read(image), side, record, { resize });
      }
      results.push(undefined);
    } catch (error) {
      if (!(error instanceof BadImage)) throw error;
      results.push(error.message);
    }
    // The message was a copy.
    if ("kind" in image) dropped((image.kind === "encoded" ? image.bytes : image.pixels).length);
  }
  return results;
});
