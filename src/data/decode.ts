/**
 * From an image file to a record: S × S pixels, upright, interleaved RGB, one byte a channel (paper §2: the shorter
 * side is rescaled to S and the central S × S cut out). Decoding runs in @napi-rs/image on libuv's threads, not on the
 * main one.
 */
import { FastResizeFilter, type Orientation, ResizeFit, Transformer } from "@napi-rs/image";
import type { Encoded, Pixels } from "./dataset.ts";
import { readHeader } from "./header.ts";

/** An image that can't be used. The loader counts it, names it and goes on. */
export class BadImage extends Error {
  override readonly name = "BadImage";
}

/** Larger images are refused by their header, before any memory is taken. */
const MAX_PIXELS = 100e6;
/** The rescaled image before the crop: a strip 1 pixel high would become gigabytes. */
const MAX_RESCALED_PIXELS = 25e6;

/**
 * Decodes `image` and writes its record to `record` (S · S · 3 bytes).
 * Greyscale becomes three equal channels, transparency lies on white, 16 bits become 8, EXIF orientation is applied.
 * @throws BadImage saying what is wrong with it.
 */
export async function decodeRecord(image: Encoded | Pixels, side: number, record: Uint8Array): Promise<void> {
  if (image.kind === "pixels") {
    if (image.width === side && image.height === side) return record.set(image.pixels);
    return copyRgb(await scaled(fromRgb(image), image.width, image.height, side), record);
  }
  const header = readHeader(image.bytes);
  if (typeof header === "string") throw new BadImage(header);
  const { width, height, orientation, transparent } = header;
  if (width * height > MAX_PIXELS)
    throw new BadImage(`${width} × ${height} are more than ${MAX_PIXELS / 1e6} megapixels`);
  try {
    // The library's resampling weighs pixels by alpha squared, so that transparency has to go first.
    const flat = transparent ? await onWhite(image.bytes, width, height) : undefined;
    const transformer = () => {
      const made = flat ? Transformer.fromRgbaPixels(flat, width, height) : new Transformer(image.bytes);
      return orientation === 1 ? made : made.rotate(orientation as Orientation);
    };
    if (width === side && height === side) {
      const pixels = await transformer().rawPixels();
      if (pixels.length === 3 * side * side) return record.set(pixels);
      if (pixels.length === side * side) return copyGrey(pixels, record);
    }
    // The library's resampling turns every kind of pixel into 8-bit RGBA, also when the size stays.
    const turned = orientation >= 5;
    copyRgb(await scaled(transformer(), turned ? height : width, turned ? width : height, side), record);
  } catch (error) {
    if (error instanceof BadImage) throw error;
    throw new BadImage(`it can't be decoded: ${error instanceof Error ? error.message.trim() : String(error)}`);
  }
}

/**
 * Rescaled so that the shorter side is `side`, then the centre, as RGBA. Bilinear over the whole footprint of a pixel
 * (what Pillow and torchvision call bilinear with antialiasing) is within 5% of the cost of no filter at all.
 * The library's own `ResizeFit.Cover` cuts off one end instead of both, hence `Fill` and `crop`.
 */
function scaled(image: Transformer, width: number, height: number, side: number): Promise<Uint8Array> {
  const scale = side / Math.min(width, height);
  const [w, h] = [Math.max(side, Math.round(width * scale)), Math.max(side, Math.round(height * scale))];
  if (w * h > MAX_RESCALED_PIXELS) throw new BadImage(`${width} × ${height} is too long and thin`);
  const resized = image.fastResize({ width: w, height: h, filter: FastResizeFilter.Bilinear, fit: ResizeFit.Fill });
  return resized.crop(Math.floor((w - side) / 2), Math.floor((h - side) / 2), side, side).rawPixels();
}

function copyGrey(grey: Uint8Array, record: Uint8Array): void {
  for (let i = 0, to = 0; i < grey.length; i++, to += 3) record[to] = record[to + 1] = record[to + 2] = grey[i]!;
}

function copyRgb(rgba: Uint8Array, record: Uint8Array): void {
  for (let from = 0, to = 0; to < record.length; from += 4, to += 3) {
    record[to] = rgba[from]!;
    record[to + 1] = rgba[from + 1]!;
    record[to + 2] = rgba[from + 2]!;
  }
}

/** The image drawn over white, as RGBA. */
async function onWhite(bytes: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const white = new Uint8Array(width * height * 4).fill(255);
  const rgba = await Transformer.fromRgbaPixels(white, width, height).overlay(bytes, 0, 0).rawPixels();
  for (let at = 3; at < rgba.length; at += 4) rgba[at] = 255; // 254 here and there, by rounding
  return rgba;
}

function fromRgb({ pixels, width, height }: Pixels): Transformer {
  const rgba = new Uint8Array(width * height * 4);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    rgba[to] = pixels[from]!;
    rgba[to + 1] = pixels[from + 1]!;
    rgba[to + 2] = pixels[from + 2]!;
    rgba[to + 3] = 255;
  }
  return Transformer.fromRgbaPixels(rgba, width, height);
}
