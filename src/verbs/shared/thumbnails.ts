/** Images of a set, or of a folder, as they are drawn in pictures. */
import type { Dataset, Encoded, Pixels } from "../../data/dataset.ts";
import { BadImage } from "../../data/decode.ts";
import { DataError } from "../../errors.ts";
import type { Raster } from "../../pictures/raster.ts";
import { thumbnail } from "../../pictures/thumbnail.ts";

/** Thumbnails are as large as their room in these pictures. */
const [WIDTH, HEIGHT] = [208, 160];

/** @returns undefined where the image can't be read any more, or not be drawn */
export async function thumbnailOf(dataset: Pick<Dataset, "read">, index: number): Promise<Raster | undefined> {
  return drawable(() => dataset.read(index));
}

/** @returns undefined where the image can't be read, or not be drawn */
export async function drawable(read: () => Promise<Encoded | Pixels>): Promise<Raster | undefined> {
  try {
    return await thumbnail(await read(), WIDTH, HEIGHT);
  } catch (error) {
    const isOfImage = error instanceof BadImage || error instanceof DataError;
    if (isOfImage || (error instanceof Error && "syscall" in error)) return undefined;
    throw error;
  }
}
