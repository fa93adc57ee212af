/** What a decoder makes of bytes that may be no image. */
import { BadImage, type Decoder } from "../../src/data/decode.ts";

/** The record of an image, or why there is none; or what is odd about it all the same. */
export function outcome(
  decoder: Decoder,
  bytes: Uint8Array,
  side: number,
  record = new Uint8Array(side * side * 3),
): { record?: Uint8Array; message?: string | undefined } {
  try {
    return { message: decoder.record({ kind: "encoded", bytes }, side, record), record };
  } catch (error) {
    if (error instanceof BadImage) return { message: error.message };
    throw error;
  }
}
