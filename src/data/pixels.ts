/**
 * From an image file to its pixels, as they are stored: not yet turned upright, interleaved RGB, one byte a channel.
 * JPEG by libjpeg-turbo, PNG and WebP by @napi-rs/image. They are Pillow's, to the last bit, where Pillow follows the
 * standards (test/golden/formats.py lists where it does not).
 */
import { loadImage } from "../native/add_ons.ts";
import type { ImageHeader } from "./header.ts";
import { BadImage } from "./image.ts";
import type { JpegCodec } from "./jpeg.ts";
import { plainPng } from "./png.ts";
import { stillWebp } from "./webp.ts";

/** Of larger images the memory is asked for again at once: the next collection may be many images away. */
const COLLECT_BYTES = 64 * 2 ** 20;

/**
 * Decodes to `to(bytes)`, which is asked for the memory: 3 bytes a pixel, of some files 4 while they are converted.
 * Greyscale becomes three equal channels, transparency lies on white, of 16 bits the upper 8 count.
 * @returns what is odd about an image that can be used all the same
 * @throws BadImage saying what is wrong with it; the memory then has pixels of anything
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
    throw new BadImage(`it has two sizes, ${width} × ${height} and ${found.width} × ${found.height}`);
  }
  const sampleBytes = depth === 16 ? 2 : 1;
  const channels = samples.length / (width * height * sampleBytes);
  if (![1, 2, 3, 4].includes(channels)) {
    throw new BadImage(`it can't be decoded: its pixels take ${samples.length} bytes`);
  }
  const rgb = to(3 * width * height);
  if (channels === 3 && sampleBytes === 1) rgb.set(samples);
  else toRgb(samples, channels, sampleBytes, rgb);
}

/** From grey or RGB with or without alpha. Samples of two bytes are little-endian, and the second one counts. */
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
