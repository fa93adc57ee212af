/** PNG (W3C PNG §5): its chunks, as far as pixels depend on them. */

/** What decides about pixels. Others may hold a colour profile of 2 MB that unpacks to gigabytes, or an animation. */
const OF_PIXELS = new Set(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);
const SIGNATURE_BYTES = 8;
/** Of each chunk: its length, its name, and a checksum behind its data. */
const AROUND_BYTES = 12;

/** The bytes of a PNG file without the chunks that no pixel depends on. */
export function plainPng(bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Buffer[] = [file.subarray(0, SIGNATURE_BYTES)];
  let isPlain = true;
  for (let at = SIGNATURE_BYTES; at + AROUND_BYTES <= file.length;) {
    const end = at + AROUND_BYTES + file.readUInt32BE(at);
    const name = file.toString("latin1", at + 4, at + 8);
    // Of a chunk that is cut short, what there is: the decoder says what is wrong with it.
    if (OF_PIXELS.has(name)) kept.push(file.subarray(at, end));
    else isPlain = false;
    if (name === "IEND") break;
    at = end;
  }
  return isPlain ? bytes : Buffer.concat(kept);
}
