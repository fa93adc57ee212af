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
import { instantiate, type WasmKernels } from "../wasm/wasm.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { DecodingMemory } from "./decoding_memory.ts";
import { readHeader, type ImageHeader } from "./header.ts";
import { BadImage } from "./image.ts";
import { openJpeg, type JpegCodec } from "./jpeg.ts";
import { decodePixels } from "./pixels.ts";
import { resampleWeights, type ResampleWeights } from "./resample.ts";

export { BadImage } from "./image.ts";

/** Larger images are refused by their header, before any memory is allocated. */
const MAX_PIXELS = 100e6;
/** Limit for the rescaled image before the crop: of a strip 1 pixel high only a smear would remain. */
const MAX_RESCALED_PIXELS = 25e6;
const PAGE = 65_536;
/** Memory for the kernels' own use. */
const RESERVED = PAGE;
/** Vector loads read past the last pixel. */
const SLACK = 16;
/** Memory grown beyond this for a large image is given back. */
const KEEP_BYTES = 64 * 2 ** 20;
/** Photos of a set usually have a few sizes. */
const KEEP_WEIGHTS = 64;

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

/** The central side × side pixels of a rescaled image. */
interface Cut extends Required<RecordOptions> {
  readonly side: number;
}

export class Decoder {
  readonly #module: WebAssembly.Module;
  readonly #jpeg: JpegCodec;
  readonly #decoding: DecodingMemory;
  readonly #weights = new Map<string, ResampleWeights>();
  #memory!: WebAssembly.Memory;
  #wasm!: WasmKernels;

  constructor(module: WebAssembly.Module, jpeg: JpegCodec, decoding = new DecodingMemory()) {
    this.#module = module;
    this.#jpeg = jpeg;
    this.#decoding = decoding;
    this.#start();
  }

  #start(): void {
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: PAGE, shared: true });
    this.#wasm = instantiate(this.#module, this.#memory);
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
      else this.#cut(this.#put(pixels), { width, height, orientation: 1 }, cut, record);
      return undefined;
    }
    const header = readHeader(image.bytes);
    if (typeof header === "string") throw new BadImage(header);
    const { width, height } = header;
    if (width * height > MAX_PIXELS)
      throw new BadImage(`${width} × ${height} is more than ${MAX_PIXELS / 1e6} megapixels`);
    if (rescaled(width, height, shorter) > MAX_RESCALED_PIXELS)
      throw new BadImage(`${width} × ${height} is too long and thin`);
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
        return direct ? record : this.#view(bytes);
      });
      if (!direct) this.#cut(RESERVED, header, cut, record);
      return remark;
    } finally {
      if (this.#memory.buffer.byteLength > KEEP_BYTES) this.#start();
    }
  }

  /** A record as a JPEG file. @param quality 1 to 100 */
  encode(record: Uint8Array, side: number, quality: number): Uint8Array {
    return this.#jpeg.encode(record, side, side, quality);
  }

  /** A view of `bytes` bytes of the WebAssembly memory, grown if needed. */
  #view(bytes: number, at = RESERVED): Uint8Array {
    const pages = Math.ceil((at + bytes + SLACK - this.#memory.buffer.byteLength) / PAGE);
    if (pages > 0) this.#memory.grow(pages);
    return new Uint8Array(this.#memory.buffer, at, bytes);
  }

  /** Copies pixels into the WebAssembly memory. @returns their address */
  #put(pixels: Uint8Array): number {
    this.#view(pixels.length).set(pixels);
    return RESERVED;
  }

  /** Rescales the width × height pixels at `from`, crops the centre and turns it upright. */
  #cut(
    from: number,
    { width, height, orientation }: StoredSize,
    { side, shorter, resize }: Cut,
    record: Uint8Array,
  ): void {
    const turn = TURNS[orientation - 1]!;
    const [newWidth, newHeight] = newSize(width, height, shorter);
    // The crop is defined in the upright image; a flipped axis counts from its other end.
    const start = (size: number, reversed: boolean) => {
      const before = halfToEven(size - side);
      return reversed ? size - side - before : before;
    };
    const across = this.#axis(resize, width, newWidth, start(newWidth, turn.flipX), side);
    const down = this.#axis(resize, height, newHeight, start(newHeight, turn.flipY), side);
    // Horizontally first in the upright image; if the stored one lies on its side, those are its columns.
    const columnsFirst = turn.swap;
    const [columns, rows] = columnsFirst ? [across.to - across.from, side] : [side, down.to - down.from];
    const pitch = 3 * columns + SLACK;
    const alignment = 16;
    const tables = Math.ceil((from + 3 * width * height + SLACK) / alignment) * alignment;
    const downTable = tables + 4 * across.table.length;
    const between = downTable + 4 * down.table.length;
    const out = between + pitch * rows;
    const outPitch = 3 * side + SLACK;
    const cut = this.#view(outPitch * side, out);
    // Rows and columns before the crop are not computed.
    const integers = new Int32Array(this.#memory.buffer, tables, across.table.length + down.table.length);
    integers.set(columnsFirst ? relative(across) : across.table);
    integers.set(relative(down), across.table.length);
    const first = from + 3 * width * down.from;
    const wasm = this.#wasm;
    if (columnsFirst) {
      const corner = first + 3 * across.from;
      wasm.resizeColumns(corner, 3 * width, 3 * columns, downTable, down.taps, side, between, pitch);
      wasm.resizeRows(between, pitch, side, tables, across.taps, side, out, outPitch);
    } else {
      wasm.resizeRows(first, 3 * width, rows, tables, across.taps, side, between, pitch);
      wasm.resizeColumns(between, pitch, 3 * side, downTable, down.taps, side, out, outPitch);
    }
    turnUpright(cut, outPitch, side, turn, record);
  }

  #axis(filter: ResizeFilter, size: number, newSize: number, start: number, count: number): ResampleWeights {
    const key = `${filter} ${size} ${newSize} ${start} ${count}`;
    let weights = this.#weights.get(key);
    if (!weights) {
      if (this.#weights.size >= KEEP_WEIGHTS) this.#weights.clear();
      this.#weights.set(key, (weights = resampleWeights(filter, size, newSize, start, count)));
    }
    return weights;
  }
}

type StoredSize = Pick<ImageHeader, "width" | "height" | "orientation">;

/** The shorter side becomes `shorter`; the longer one is truncated to an integer, as in torchvision. */
function newSize(width: number, height: number, shorter: number): [width: number, height: number] {
  const longer = Math.max(shorter, Math.trunc((shorter * Math.max(width, height)) / Math.min(width, height)));
  return width < height ? [shorter, longer] : [longer, shorter];
}

function rescaled(width: number, height: number, shorter: number): number {
  const [w, h] = newSize(width, height, shorter);
  return w * h;
}

/** n / 2, rounded half to even: Python's round, by which torchvision places its crop. */
function halfToEven(n: number): number {
  const half = Math.floor(n / 2);
  return n % 2 === 1 && half % 2 === 1 ? half + 1 : half;
}

function relative({ table, taps, from }: ResampleWeights): Int32Array {
  const moved = table.slice();
  for (let i = 0; i < moved.length; i += taps + 2) moved[i]! -= from;
  return moved;
}

/** How to turn a stored image upright: first flip its axes, then swap them. */
interface Turn {
  readonly flipX: boolean;
  readonly flipY: boolean;
  readonly swap: boolean;
}

/** EXIF orientations 1 to 8 (CIPA DC-008, tag 0x0112). */
const TURNS: readonly Turn[] = [
  { flipX: false, flipY: false, swap: false },
  { flipX: true, flipY: false, swap: false },
  { flipX: true, flipY: true, swap: false },
  { flipX: false, flipY: true, swap: false },
  { flipX: false, flipY: false, swap: true },
  { flipX: false, flipY: true, swap: true },
  { flipX: true, flipY: true, swap: true },
  { flipX: true, flipY: false, swap: true },
];

function turnUpright(from: Uint8Array, pitch: number, side: number, turn: Turn, to: Uint8Array): void {
  const { flipX, flipY, swap } = turn;
  for (let y = 0; y < side; y++) {
    if (!flipX && !flipY && !swap) {
      to.set(from.subarray(pitch * y, pitch * y + 3 * side), 3 * side * y);
      continue;
    }
    for (let x = 0; x < side; x++) {
      const [column, row] = swap ? [y, x] : [x, y];
      const at = pitch * (flipY ? side - 1 - row : row) + 3 * (flipX ? side - 1 - column : column);
      const target = 3 * (y * side + x);
      to[target] = from[at]!;
      to[target + 1] = from[at + 1]!;
      to[target + 2] = from[at + 2]!;
    }
  }
}
