/** Images made on the spot: figures of the built-in set, and pictures by a formula. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { drawFigure } from "../../src/data/shapes.ts";
import { Purpose, Random } from "../../src/random.ts";

/** A PNG of figure `label` of the built-in set, 32 × 32. */
export function figurePng(label: number, number: number): Uint8Array {
  const side = 32;
  const rgb = drawFigure(label, side, new Random(1, Purpose.drawing, 9, 1000 * label + number));
  const rgba = new Uint8Array(4 * side * side).fill(255);
  for (let i = 0; i < side * side; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return Transformer.fromRgbaPixels(rgba, side, side).pngSync();
}

/** `classes` class folders c0, c1, … with `each` images of 32 × 32. */
export async function makePhotos(folder: string, classes: number, each: number): Promise<string> {
  for (let label = 0; label < classes; label++) {
    const own = join(folder, `c${label}`);
    await mkdir(own, { recursive: true });
    for (let i = 0; i < each; i++) {
      await writeFile(join(own, `${String(i).padStart(3, "0")}.png`), figurePng(label, i));
    }
  }
  return folder;
}

/** width × height RGBA pixels from a function of the place. */
export function drawn(width: number, height: number, colour: (x: number, y: number) => readonly number[]): Transformer {
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set([...colour(x, y), 255].slice(0, 4), 4 * (y * width + x));
  }
  return Transformer.fromRgbaPixels(pixels, width, height);
}

/** A PNG of one colour. */
export const plain = (red: number, green = red, blue = red, side = 8): Promise<Uint8Array> =>
  drawn(side, side, () => [red, green, blue]).png();

/** A JPEG with an EXIF orientation put in front of its other segments. */
export function withOrientation(jpeg: Uint8Array, orientation: number, little = false): Uint8Array {
  const big = [0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const small = [0x49, 0x49, 0x2a, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
  const body = [0x45, 0x78, 0x69, 0x66, 0, 0, ...(little ? small : big)];
  return Uint8Array.from([0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2, ...body, ...jpeg.subarray(2)]);
}

/** A JPEG of 16 × 16 pixels, RGB (200, 60, 30) as CMYK, written by Pillow. */
export const CMYK: Uint8Array = Buffer.from(
  "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD9IK/O+vx3r9/KKKKKKKKKKKKK/9k=",
  "base64",
);
