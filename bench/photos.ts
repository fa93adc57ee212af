/** Synthetic photos for the loader: drawn figures as JPEG files in a temporary folder. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { FIGURES } from "../src/data/figures.ts";
import { drawFigure } from "../src/data/shapes.ts";
import { temporaryFolder } from "../src/io/temporary.ts";
import { Purpose, Random } from "../src/random.ts";

/** The usual size of ImageNet's photos; a file has about 100 KB, as there. */
export const [WIDTH, HEIGHT] = [500, 375];
const QUALITY = 90;
/** Number of distinct photos, each of which is repeated: drawing takes longer than decoding. */
const DRAWN = 20;

interface Photos {
  readonly folder: string;
  /** The path of one photo. */
  readonly first: string;
  remove(): void;
}

/** @param count rounded up to whole repetitions */
export async function drawPhotos(count: number): Promise<Photos> {
  const { path: folder, remove } = temporaryFolder("alexnet-bench-");
  try {
    let first = "";
    for (let i = 0; i < DRAWN; i++) {
      const jpeg = await drawJpeg(i);
      const own = join(folder, `class${i % FIGURES.length}`);
      mkdirSync(own, { recursive: true });
      for (let copy = 0; copy < Math.ceil(count / DRAWN); copy++) {
        const path = join(own, `${i}-${copy}.jpg`);
        first ||= path;
        writeFileSync(path, jpeg);
      }
    }
    return { folder, first, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

async function drawJpeg(i: number): Promise<Uint8Array> {
  // The upper part of a square drawing.
  const rgb = drawFigure(i % FIGURES.length, WIDTH, new Random(3, Purpose.drawing, i));
  const rgba = new Uint8Array(4 * WIDTH * HEIGHT).fill(255);
  for (let at = 0; at < WIDTH * HEIGHT; at++) rgba.set(rgb.subarray(3 * at, 3 * at + 3), 4 * at);
  return Transformer.fromRgbaPixels(rgba, WIDTH, HEIGHT).jpeg(QUALITY);
}
