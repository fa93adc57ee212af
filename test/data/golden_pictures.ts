/** The pictures that test/golden/pillow.py draws, and what Pillow and NumPy made of them. */
import golden from "../golden/pillow.json";

export { golden };

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
