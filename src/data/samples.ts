/** Sample images to try a model on. */
import { join } from "node:path";
import { replaceFile } from "../io/files.ts";
import { loadImage } from "../native/add_ons.ts";
import type { Dataset } from "./dataset.ts";

/** Writes the first image of each class as FOLDER/CLASS.png. Only for sets whose images are pixels. */
export async function writeSamples(dataset: Dataset, folder: string): Promise<void> {
  for (const [label, name] of dataset.classes.entries()) {
    const index = Array.from({ length: dataset.length }, (_, i) => i).find((i) => dataset.label(i) === label);
    const image = index === undefined ? undefined : await dataset.read(index);
    if (image?.kind !== "pixels") continue;
    const { pixels, width, height } = image;
    const rgba = new Uint8Array(width * height * 4).fill(255);
    for (let i = 0; i < width * height; i++) rgba.set(pixels.subarray(3 * i, 3 * i + 3), 4 * i);
    const png = await loadImage().Transformer.fromRgbaPixels(rgba, width, height).png();
    await replaceFile(join(folder, `${name}.png`), (append) => append(png));
  }
}
