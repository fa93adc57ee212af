/**
 * Rescales decoded pixels to a record: the shorter side to a given length, the central square of it, upright. The pixels
 * are bit-identical to Pillow's and torchvision's (Resize and CenterCrop). Pages do it by this too.
 */
import type { ResizeFilter } from "../net/recipe.ts";
import { instantiate, type WasmKernels } from "../wasm/wasm.ts";
import { BadImage } from "./image.ts";
import { resampleWeights, type ResampleWeights } from "./resample.ts";

/** Larger images are refused before any memory is allocated. */
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

/** The central side × side pixels of a rescaled image. */
export interface Cut {
  readonly side: number;
  /** To which the shorter side is rescaled before the crop: at least `side`. */
  readonly shorter: number;
  readonly resize: ResizeFilter;
}

/** An image as it is stored. */
export interface Stored {
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 (upright) to 8. */
  readonly orientation: number;
}

/** @throws BadImage for an image that is too large, or too long and thin */
export function requireUsableSize(width: number, height: number, shorter: number): void {
  if (width * height > MAX_PIXELS) {
    throw new BadImage(`${width} × ${height} is more than ${MAX_PIXELS / 1e6} megapixels`);
  }
  const [w, h] = newSize(width, height, shorter);
  if (w * h > MAX_RESCALED_PIXELS) throw new BadImage(`${width} × ${height} is too long and thin`);
}

export class Rescaler {
  readonly #module: WebAssembly.Module;
  readonly #shared: boolean;
  readonly #weights = new Map<string, ResampleWeights>();
  #memory!: WebAssembly.Memory;
  #wasm!: WasmKernels;

  /**
   * @param module the compiled kernels
   * @param shared whether they were compiled for a memory that threads share
   */
  constructor(module: WebAssembly.Module, shared: boolean) {
    this.#module = module;
    this.#shared = shared;
    this.#start();
  }

  #start(): void {
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: PAGE, shared: this.#shared });
    this.#wasm = instantiate(this.#module, this.#memory);
  }

  /** Room for an image's pixels, interleaved RGB: `bytes` bytes of the WebAssembly memory, grown if needed. */
  room(bytes: number): Uint8Array {
    return this.#view(bytes, RESERVED);
  }

  /** Gives back what was grown for a large image; to be called after each. */
  shrink(): void {
    if (this.#memory.buffer.byteLength > KEEP_BYTES) this.#start();
  }

  /** Rescales the width × height pixels in `room`, crops the centre, turns it upright and writes it to `record`. */
  cut({ width, height, orientation }: Stored, { side, shorter, resize }: Cut, record: Uint8Array): void {
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
    const tables = Math.ceil((RESERVED + 3 * width * height + SLACK) / alignment) * alignment;
    const downTable = tables + 4 * across.table.length;
    const between = downTable + 4 * down.table.length;
    const out = between + pitch * rows;
    const outPitch = 3 * side + SLACK;
    const cut = this.#view(outPitch * side, out);
    // Rows and columns before the crop are not computed.
    const integers = new Int32Array(this.#memory.buffer, tables, across.table.length + down.table.length);
    integers.set(columnsFirst ? relative(across) : across.table);
    integers.set(relative(down), across.table.length);
    const first = RESERVED + 3 * width * down.from;
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

  #view(bytes: number, at: number): Uint8Array {
    const pages = Math.ceil((at + bytes + SLACK - this.#memory.buffer.byteLength) / PAGE);
    if (pages > 0) this.#memory.grow(pages);
    return new Uint8Array(this.#memory.buffer, at, bytes);
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

/** The shorter side becomes `shorter`; the longer one is truncated to an integer, as in torchvision. */
function newSize(width: number, height: number, shorter: number): [width: number, height: number] {
  const longer = Math.max(shorter, Math.trunc((shorter * Math.max(width, height)) / Math.min(width, height)));
  return width < height ? [shorter, longer] : [longer, shorter];
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
