/** Extracts the first frame of an animated WebP (RFC 9649 §2.7). */
import { BadImage } from "./image.ts";

const ANIMATION = 0x02;
const ALPHA = 0x10;
/** Precedes the bitstream in a frame: position, size, duration, blending. */
const FRAME_HEADER_BYTES = 16;

/**
 * A still WebP file: the first frame of an animation, or the file itself. (@napi-rs/image would blend the frame with a
 * canvas, off by one.)
 * @throws BadImage when the frame is missing or does not cover the canvas
 */
export function stillWebp(bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const extended = file.toString("latin1", 12, 16) === "VP8X";
  if (!extended || ((file[20] ?? 0) & ANIMATION) === 0) return bytes;
  for (let at = 12; at + 8 <= file.length;) {
    const length = file.readUInt32LE(at + 4);
    const frame = file.subarray(at + 8, at + 8 + length);
    if (file.toString("latin1", at, at + 4) === "ANMF" && frame.length > FRAME_HEADER_BYTES) {
      // Width and height minus one, three bytes each, of the canvas and of the frame.
      const [canvas, place, size] = [file.subarray(24, 30), frame.subarray(0, 6), frame.subarray(6, 12)];
      if (!size.equals(canvas) || place.some((byte) => byte !== 0)) {
        throw new BadImage("the first frame of its animation does not cover the canvas");
      }
      return joined(frame.subarray(FRAME_HEADER_BYTES), size);
    }
    at += 8 + length + (length % 2);
  }
  throw new BadImage("its WebP animation has no frames");
}

/** @param size of the frame: width and height minus one, three bytes each */
function joined(bitstream: Buffer, size: Uint8Array): Uint8Array {
  // Only a separate alpha channel needs the extended header.
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
