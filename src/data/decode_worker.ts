/** A worker thread that reads and decodes images into memory that it shares with the main thread. */
import { setImmediate } from "node:timers/promises";
import type { FileRange } from "../io/bytes.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { BadImage, openDecoder } from "./decode.ts";
import { Reader, verify } from "./reading.ts";
import { answer } from "./threads.ts";

export interface DecodeJob {
  /** Where records go, `side` · `side` · 3 bytes each. */
  readonly records: SharedArrayBuffer;
  readonly side: number;
  /** What all threads decode in: see `DecodingMemory`. */
  readonly memory: SharedArrayBuffer;
  readonly rows: readonly {
    /** Which record it becomes. */
    readonly row: number;
    readonly image: FileRange | Encoded | Pixels;
  }[];
}

/** Of each row what is wrong with its image; undefined where its record was written. */
export type DecodeResult = (string | undefined)[];

let decoder: ReturnType<typeof openDecoder> | undefined;
const reader = new Reader();

answer<DecodeJob, DecodeResult>(async ({ records, side, rows, memory }) => {
  const decode = await (decoder ??= openDecoder(memory));
  const bytes = side * side * 3;
  const results: DecodeResult = [];
  for (const { row, image } of rows) {
    const record = new Uint8Array(records, row * bytes, bytes);
    try {
      if (!("kind" in image) && image.rawSide === side && image.length === bytes) {
        reader.readInto(image, record);
        if (image.hash !== undefined) verify(record, image.hash);
      } else {
        // Between tasks only is the memory given back that @napi-rs/image took for an image.
        await setImmediate();
        decode.record("kind" in image ? image : reader.read(image), side, record);
      }
      results.push(undefined);
    } catch (error) {
      if (!(error instanceof BadImage)) throw error;
      results.push(error.message);
    }
  }
  return results;
});
