/** The pictures that test/golden/pillow.py draws, and what Pillow and NumPy made of them. */
import formats from "../golden/formats.json";
import golden from "../golden/pillow.json";

export { golden };

/** A file of test/golden/formats.py. */
export function formatFile(name: string): Uint8Array {
  return Buffer.from(formats.files.find((file) => file.name === name)!.file, "base64");
}

/** width × height pixels, interleaved RGB, by whole numbers only. */
export function goldenPicture(width: number, height: number, number = 0): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, at++) {
        pixels[at] = ((x * (7 + 4 * c) + y * (13 - 3 * c)) ^ ((x * y) >> 3)) + number * (29 + 5 * c);
      }
    }
  }
  return pixels;
}

/**
 * A progressive JPEG of which libjpeg-turbo first warns (27 extraneous bytes) and then fails (a Huffman table was not
 * defined), before it has written a pixel.
 */
export function damagedProgressive(): Uint8Array {
  const bytes = Buffer.from(golden.files.progressive.base64, "base64");
  bytes[350] = 0;
  return bytes;
}
