/** Thumbnails of images, for pictures. */
import type { Dataset, Encoded, Pixels } from "../../data/dataset.ts";
import { BadImage } from "../../data/decode.ts";
import { DataError } from "../../errors.ts";
import type { Raster } from "../../pictures/pixels.ts";
import { thumbnail } from "../../pictures/thumbnail.ts";

const [WIDTH, HEIGHT] = [208, 160];

/** @returns undefined when the image can't be read any more, or can't be drawn */
export async function thumbnailOf(dataset: Pick<Dataset, "read">, index: number): Promise<Raster | undefined> {
  return drawable(() => dataset.read(index));
}

/** @returns undefined when the image can't be read or drawn */
export async function drawable(read: () => Promise<Encoded | Pixels>): Promise<Raster | undefined> {
  return unlessUnreadable(async () => thumbnail(await read(), WIDTH, HEIGHT));
}

/** Does something with an image. @returns undefined when it can't be read or decoded */
export async function unlessUnreadable<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const isOfImage = error instanceof BadImage || error instanceof DataError;
    if (isOfImage || (error instanceof Error && "syscall" in error)) return undefined;
    throw error;
  }
}
