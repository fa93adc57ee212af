/** Thumbnails: whole images, upright and small. */
import type { Orientation } from "@napi-rs/image";
import type { Encoded, Pixels } from "../data/dataset.ts";
import { readHeader } from "../data/header.ts";
import { BadImage } from "../data/image.ts";
import { openJpeg, type JpegCodec } from "../data/jpeg.ts";
import { decodePixels } from "../data/pixels.ts";
import { loadImage } from "../native/add_ons.ts";
import { withAlpha, withoutAlpha, type Raster } from "./pixels.ts";

/**
 * The whole image, reduced to fit maxWidth × maxHeight, never enlarged. Transparency is composited on white. Call only for
 * images that `decodeRecord` accepted: sizes are not checked again here.
 * @throws BadImage when it can't be decoded
 */
export async function thumbnail(image: Encoded | Pixels, maxWidth: number, maxHeight: number): Promise<Raster> {
  if (image.kind === "pixels") return image;
  const header = readHeader(image.bytes);
  if (typeof header === "string") throw new BadImage(header);
  const { orientation } = header;
  const [upWidth, upHeight] = orientation >= 5 ? [header.height, header.width] : [header.width, header.height];
  const scale = Math.min(1, maxWidth / upWidth, maxHeight / upHeight);
  const [width, height] = [Math.max(1, Math.round(upWidth * scale)), Math.max(1, Math.round(upHeight * scale))];
  let pixels = new Uint8Array(0);
  jpeg ??= openJpeg();
  decodePixels(jpeg, image.bytes, header, (bytes) => (pixels = new Uint8Array(bytes)));
  const { FastResizeFilter, ResizeFit, Transformer } = loadImage();
  // The decoder may have asked for more memory than the pixels need.
  const stored = withAlpha(pixels.subarray(0, 3 * header.width * header.height));
  const rgba = await Transformer.fromRgbaPixels(stored, header.width, header.height)
    .rotate(orientation as Orientation)
    .fastResize({ width, height, filter: FastResizeFilter.Bilinear, fit: ResizeFit.Fill })
    .rawPixels();
  return { pixels: withoutAlpha(rgba), width, height };
}

let jpeg: JpegCodec | undefined;
