/**
 * Decodes an image file to a record: S × S pixels, upright, interleaved RGB, one byte per channel (paper §2: the shorter
 * side is rescaled to S and the central S × S cut out). The pixels are bit-identical to Pillow's and torchvision's
 * (Resize and CenterCrop); since Pillow 13, some differ by one in images more than twice as high as wide, and rarely in
 * others.
 *
 * Every thread has its own decoder. Everything here is synchronous: worker threads decode several images at once.
 */
import type { ResizeFilter } from "../net/recipe.ts";
import { loadKernels } from "../wasm/build.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { DecodingMemory } from "./decoding_memory.ts";
import { readHeader, type ImageHeader } from "./header.ts";
import { BadImage } from "./image.ts";
import { openJpeg, type JpegCodec } from "./jpeg.ts";
import { decodePixels } from "./pixels.ts";
import { requireUsableSize, Rescaler, type Cut } from "./rescale.ts";

export { BadImage } from "./image.ts";

/**
 * @param memory the memory budget shared by all threads; by default the decoder's own
 * @throws DeviceError when the kernels can't be loaded, or TURBOJPEG_LIB_PATH is wrong
 */
export async function openDecoder(memory?: SharedArrayBuffer): Promise<Decoder> {
  return new Decoder(await loadKernels(), openJpeg(), new DecodingMemory(memory));
}

let own: Promise<Decoder> | undefined;

/** Decodes on this thread, for an image or two; see `Decoder.record`. @throws BadImage, DeviceError */
export async function decodeRecord(
  image: Encoded | Pixels,
  side: number,
  record: Uint8Array,
  resize?: ResizeFilter,
): Promise<string | undefined> {
  own ??= openDecoder();
  return (await own).record(image, side, record, { resize });
}

export interface RecordOptions {
  /** To which the shorter side is rescaled before the crop: at least the record's side, which it is by default. */
  readonly shorter?: number;
  /** Bilinear by default. */
  readonly resize?: ResizeFilter | undefined;
}

export class Decoder {
  readonly #jpeg: JpegCodec;
  readonly #decoding: DecodingMemory;
  readonly #rescaler: Rescaler;

  constructor(module: WebAssembly.Module, jpeg: JpegCodec, decoding = new DecodingMemory()) {
    this.#jpeg = jpeg;
    this.#decoding = decoding;
    this.#rescaler = new Rescaler(module, true);
  }

  /**
   * Decodes `image` (see `decodePixels`), applies its EXIF orientation, and writes its record to `record`
   * (side × side × 3 bytes).
   * @returns a remark about an odd but usable image
   * @throws BadImage that says what is wrong
   */
  record(
    image: Encoded | Pixels,
    side: number,
    record: Uint8Array,
    { shorter = side, resize = "bilinear" }: RecordOptions = {},
  ): string | undefined {
    const cut = { side, shorter, resize };
    if (image.kind === "pixels") {
      const { pixels, width, height } = image;
      if (width === side && height === side && shorter === side) record.set(pixels);
      else {
        this.#rescaler.room(pixels.length).set(pixels);
        this.#rescaler.cut({ width, height, orientation: 1 }, cut, record);
      }
      return undefined;
    }
    const header = readHeader(image.bytes);
    if (typeof header === "string") throw new BadImage(header);
    const { width, height } = header;
    requireUsableSize(width, height, shorter);
    return this.#decoding.use(width * height, () => this.#decode(image.bytes, header, cut, record));
  }

  #decode(bytes: Uint8Array, header: ImageHeader, cut: Cut, record: Uint8Array): string | undefined {
    const { width, height } = header;
    const { side, shorter } = cut;
    // An image with a record's size is decoded in place.
    const isRecord = width === side && height === side && shorter === side && header.orientation === 1;
    let direct = false;
    try {
      const remark = decodePixels(this.#jpeg, bytes, header, (bytes) => {
        direct = isRecord && bytes === record.length;
        return direct ? record : this.#rescaler.room(bytes);
      });
      if (!direct) this.#rescaler.cut(header, cut, record);
      return remark;
    } finally {
      this.#rescaler.shrink();
    }
  }

  /** A record as a JPEG file. @param quality 1 to 100 */
  encode(record: Uint8Array, side: number, quality: number): Uint8Array {
    return this.#jpeg.encode(record, side, side, quality);
  }
}
