/** Photos to decode where none were named: drawn figures as JPEG files in a temporary folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { FIGURES } from "../src/data/figures.ts";
import { drawFigure } from "../src/data/shapes.ts";
import { Purpose, Random } from "../src/random.ts";

/** About the number of pixels of ImageNet's photos, and as many bytes: some 100 KB. */
export const SIDE = 432;
const QUALITY = 90;
/** Drawing takes longer than decoding: so many are drawn, and each is there several times. */
const DRAWN = 20;

export interface Photos {
  readonly folder: string;
  /** One of them. */
  readonly first: string;
  remove(): void;
}

/** @param count rounded up to whole repetitions */
export async function drawPhotos(count: number): Promise<Photos> {
  const folder = mkdtempSync(join(tmpdir(), "alexnet-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
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
  const rgb = drawFigure(i % FIGURES.length, SIDE, new Random(3, Purpose.drawing, i));
  const rgba = new Uint8Array(4 * SIDE * SIDE).fill(255);
  for (let at = 0; at < SIDE * SIDE; at++) rgba.set(rgb.subarray(3 * at, 3 * at + 3), 4 * at);
  return Transformer.fromRgbaPixels(rgba, SIDE, SIDE).jpeg(QUALITY);
}
