/** Strips a PNG (W3C PNG §5) to the chunks that its pixels depend on. */

/** Chunks that determine pixels. Others may hold an animation, or a 2 MB colour profile that inflates to gigabytes. */
const OF_PIXELS = new Set(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);
const SIGNATURE_BYTES = 8;
/** Around each chunk's data: its length and name before, a checksum after. */
const AROUND_BYTES = 12;

/** A PNG file without the chunks that don't affect pixels. */
export function plainPng(bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Buffer[] = [file.subarray(0, SIGNATURE_BYTES)];
  let isPlain = true;
  for (let at = SIGNATURE_BYTES; at + AROUND_BYTES <= file.length;) {
    const end = at + AROUND_BYTES + file.readUInt32BE(at);
    const name = file.toString("latin1", at + 4, at + 8);
    // A truncated chunk is kept as it is: the decoder will report it.
    if (OF_PIXELS.has(name)) kept.push(file.subarray(at, end));
    else isPlain = false;
    if (name === "IEND") break;
    at = end;
  }
  return isPlain ? bytes : Buffer.concat(kept);
}
