/** Animated WebP (RFC 9649 §2.7): its first frame, as an image of its own. */
import { BadImage } from "./image.ts";

const ANIMATION = 0x02;
const ALPHA = 0x10;
/** What precedes the bitstream in a frame: place, size, duration, and how it is laid on what was there before. */
const FRAME_HEADER_BYTES = 16;

/**
 * The bytes of a WebP file without an animation: of one with it, those of its first frame. (@napi-rs/image blends that
 * with a canvas, and is off by one.)
 * @throws BadImage when the frame does not cover the canvas, or is not there
 */
export function stillWebp(bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const extended = file.toString("latin1", 12, 16) === "VP8X";
  if (!extended || ((file[20] ?? 0) & ANIMATION) === 0) return bytes;
  for (let at = 12; at + 8 <= file.length;) {
    const length = file.readUInt32LE(at + 4);
    const frame = file.subarray(at + 8, at + 8 + length);
    if (file.toString("latin1", at, at + 4) === "ANMF" && frame.length > FRAME_HEADER_BYTES) {
      // Width and height, less one, in three bytes each: of the canvas, and of the frame behind its place.
      const [canvas, place, size] = [file.subarray(24, 30), frame.subarray(0, 6), frame.subarray(6, 12)];
      if (!size.equals(canvas) || place.some((byte) => byte !== 0)) {
        throw new BadImage("the first frame of its animation does not cover the picture");
      }
      return joined(frame.subarray(FRAME_HEADER_BYTES), size);
    }
    at += 8 + length + (length % 2);
  }
  throw new BadImage("its WebP animation has no frames");
}

/** @param size of what the bitstream holds: width and height, less one, in three bytes each */
function joined(bitstream: Buffer, size: Uint8Array): Uint8Array {
  // Only what has its alpha channel apart must be announced.
  const hasAlpha = bitstream.toString("latin1", 0, 4) === "ALPH";
  const head = Buffer.alloc(hasAlpha ? 30 : 12);
  head.write("RIFF", 0);
  head.writeUInt32LE(head.length - 8 + bitstream.length, 4);
  head.write("WEBP", 8);
  if (hasAlpha) {
    head.write("VP8X", 12);
    head.writeUInt32LE(10, 16);
    head[20] = ALPHA;
    head.set(size, 24);
  }
  return Buffer.concat([head, bitstream]);
}
