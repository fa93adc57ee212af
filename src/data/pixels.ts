/**
 * Decodes an image file to pixels as stored, not yet turned upright: interleaved RGB, one byte per channel. JPEG by
 * libjpeg-turbo, PNG and WebP by @napi-rs/image. They are bit-identical to Pillow's where Pillow follows the standards
 * (test/golden/formats.py lists where it does not).
 */
import { loadImage } from "../native/add_ons.ts";
import type { ImageHeader } from "./header.ts";
import { BadImage } from "./image.ts";
import type { JpegCodec } from "./jpeg.ts";
import { plainPng } from "./png.ts";
import { stillWebp } from "./webp.ts";

/** Larger images are garbage-collected at once: the next collection may be many images away. */
const COLLECT_BYTES = 64 * 2 ** 20;

/**
 * Decodes into the memory returned by `to(bytes)`: 3 bytes per pixel, for some files 4, which are then converted in
 * place. Greyscale becomes three equal channels, transparency is composited on white, and 16-bit samples are reduced to
 * their upper 8 bits.
 * @returns a remark about an odd but usable image
 * @throws BadImage that says what is wrong; the memory's contents are then undefined
 */
export function decodePixels(
  jpeg: JpegCodec,
  bytes: Uint8Array,
  header: ImageHeader,
  to: (bytes: number) => Uint8Array,
): string | undefined {
  const { format, width, height } = header;
  if (format === "JPEG") return jpeg.decode(bytes, width, height, to);
  try {
    decodeOther(bytes, header, to);
  } catch (error) {
    if (error instanceof BadImage) throw error;
    throw new BadImage(`it can't be decoded: ${error instanceof Error ? error.message.trim() : String(error)}`);
  } finally {
    if (4 * width * height > COLLECT_BYTES) Bun.gc(true);
  }
  return undefined;
}

function decodeOther(
  bytes: Uint8Array,
  { format, width, height, depth }: ImageHeader,
  to: (bytes: number) => Uint8Array,
): void {
  const image = new (loadImage().Transformer)(format === "WebP" ? stillWebp(bytes) : plainPng(bytes));
  const samples = image.rawPixelsSync();
  const found = image.metadataSync();
  if (found.width !== width || found.height !== height) {
    throw new BadImage(`it states two sizes, ${width} × ${height} and ${found.width} × ${found.height}`);
  }
  const sampleBytes = depth === 16 ? 2 : 1;
  const channels = samples.length / (width * height * sampleBytes);
  if (![1, 2, 3, 4].includes(channels)) {
    throw new BadImage(`it can't be decoded: ${width} × ${height} pixels take ${samples.length} bytes`);
  }
  const rgb = to(3 * width * height);
  if (channels === 3 && sampleBytes === 1) rgb.set(samples);
  else toRgb(samples, channels, sampleBytes, rgb);
}

/** Converts grey or RGB, with or without alpha. 16-bit samples are little-endian; the second byte is used. */
function toRgb(samples: Uint8Array, channels: number, sampleBytes: number, rgb: Uint8Array): void {
  const hasAlpha = channels % 2 === 0;
  const [green, blue] = channels > 2 ? [sampleBytes, 2 * sampleBytes] : [0, 0];
  const alphaAt = (channels - 1) * sampleBytes;
  const step = channels * sampleBytes;
  for (let from = sampleBytes - 1, to = 0; to < rgb.length; from += step, to += 3) {
    const alpha = hasAlpha ? samples[from + alphaAt]! : 255;
    rgb[to] = onWhite(samples[from]!, alpha);
    rgb[to + 1] = onWhite(samples[from + green]!, alpha);
    rgb[to + 2] = onWhite(samples[from + blue]!, alpha);
  }
}

/**
 * (value · alpha + 255 · (255 - alpha)) / 255, rounded as Pillow's alpha_composite does:
 * https://github.com/python-pillow/Pillow/blob/13.0.0/src/libImaging/AlphaComposite.c
 */
function onWhite(value: number, alpha: number): number {
  const sum = value * alpha + 255 * (255 - alpha) + 128;
  return (128 * sum + (sum >> 1)) >> 15;
}
