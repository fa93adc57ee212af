/** Images as people look at them: whole, upright, and small. */
import type { Orientation, Transformer } from "@napi-rs/image";
import type { Encoded, Pixels } from "../data/dataset.ts";
import { readHeader, type ImageHeader } from "../data/header.ts";
import { BadImage } from "../data/image.ts";
import { openJpeg, type JpegCodec } from "../data/jpeg.ts";
import { loadImage } from "../native/add_ons.ts";
import { withAlpha, type Raster } from "./raster.ts";

/**
 * The whole image, reduced until it fits into maxWidth × maxHeight; a smaller one stays as it is. Transparency lies on
 * white. The image must be one that `decodeRecord` took: nothing is checked here once more.
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
  const { FastResizeFilter, ResizeFit } = loadImage();
  try {
    const rgba = await open(image.bytes, header)
      .rotate(orientation as Orientation)
      .fastResize({ width, height, filter: FastResizeFilter.Bilinear, fit: ResizeFit.Fill })
      .rawPixels();
    return { pixels: onWhite(rgba), width, height };
  } catch (error) {
    if (error instanceof BadImage) throw error;
    throw new BadImage(`it can't be decoded: ${error instanceof Error ? error.message.trim() : String(error)}`);
  }
}

/** JPEGs are decoded as they are for a record: by libjpeg-turbo where there is one, which knows more of their kinds. */
function open(bytes: Uint8Array, { format, width, height }: ImageHeader): Transformer {
  const { Transformer } = loadImage();
  jpeg ??= openJpeg();
  if (format !== "JPEG" || !jpeg) return new Transformer(bytes);
  let pixels = new Uint8Array(0);
  // A CMYK image asks for more, and what it needs no longer stays behind its pixels.
  jpeg.decode(bytes, width, height, (size) => (pixels = new Uint8Array(size)));
  return Transformer.fromRgbaPixels(withAlpha(pixels.subarray(0, 3 * width * height)), width, height);
}

let jpeg: JpegCodec | undefined;

function onWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const alpha = rgba[from + 3]! / 255;
    for (let c = 0; c < 3; c++) rgb[to + c] = Math.round(255 + (rgba[from + c]! - 255) * alpha);
  }
  return rgb;
}
