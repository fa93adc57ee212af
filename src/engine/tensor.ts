import { ShapeError } from "../errors.ts";
import { show } from "../options.ts";
import type { Backend, Buffer, HostArray } from "./backend.ts";
import type { ElementType } from "./kernel.ts";

/** How a gradient goes from an op's output to its inputs. */
export interface Entry {
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  readonly saved: readonly Tensor[];
  readonly backward: (dy: Tensor) => void;
}

/**
 * What of a step's tensors a device has, where several share it: the images of the batch from `first` on, of `whole`; or
 * all images, and of the maps or features the `block`-th of as many equal blocks as there are devices.
 */
export type Part = { readonly first: number; readonly whole: number } | { readonly block: number };

/** What owns tensors' memory and records what is done with them: the tape of a step. Its methods are explained there. */
export interface Owner {
  readonly backend: Backend;
  readonly part: Part | undefined;
  allocate(shape: readonly number[], type?: ElementType): Tensor;
  input(shape: readonly number[], data: HostArray, options?: { requiresGrad?: boolean }): Tensor;
  record(entry: Entry): void;
  accumulate(x: Tensor, write: (dx: Tensor) => void): void;
  release(): void;
}

/**
 * An array on a device. Activations are C × H × W × N with the image index innermost (features × N after a linear
 * layer); weights are out × in/groups × kh × kw, or out × in, as PyTorch has them.
 */
export class Tensor {
  readonly backend: Backend;
  readonly shape: readonly number[];
  /** The tape that owns the buffer, or undefined: then it lives until its owner frees it. */
  readonly tape: Owner | undefined;
  /** Whether backward() computes a gradient for it. */
  requiresGrad: boolean;
  /** The gradient of the loss, of the same shape, after backward(). */
  grad: Tensor | undefined;
  /** Of class numbers that were put in, the largest; an op that takes them checks it. */
  largest: number | undefined;
  #buffer: Buffer | undefined;
  #kept = false;

  /** @throws ShapeError when the buffer has not exactly as many elements as the shape says */
  constructor(backend: Backend, shape: readonly number[], buffer: Buffer, tape?: Owner, requiresGrad = false) {
    if (checkedSize("Tensor", shape) !== buffer.length) {
      throw new ShapeError(
        `Tensor: a buffer of ${buffer.length} elements for a shape of ${format(shape)}, ${size(shape)}`,
      );
    }
    this.backend = backend;
    this.shape = shape;
    this.tape = tape;
    this.requiresGrad = requiresGrad;
    this.#buffer = buffer;
  }

  /** How many elements. */
  get size(): number {
    return size(this.shape);
  }

  /** @throws ShapeError when the tensor's memory has already gone back to the pool. */
  get buffer(): Buffer {
    if (this.#buffer) return this.#buffer;
    throw new ShapeError(this.whyReleased);
  }

  /** Whether its memory has gone back to the pool. */
  get isReleased(): boolean {
    return this.#buffer === undefined;
  }

  /** What to say of one whose has. */
  get whyReleased(): string {
    return (
      `a tensor of shape ${format(this.shape)} was used after its memory had been given back: ` +
      `backward() frees what it no longer needs, release() the rest; call keep() on what is to be read afterwards`
    );
  }

  /** Keeps this tensor and its gradient through backward(), until the tape is released. */
  keep(): this {
    this.#kept = true;
    return this;
  }

  get kept(): boolean {
    return this.#kept;
  }

  /** The elements, in row-major order, once everything queued has been computed. */
  read(): Promise<HostArray> {
    return this.backend.read(this.buffer, 0, this.size);
  }

  /** For the tape: takes the memory away. */
  detach(): Buffer | undefined {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    return buffer;
  }
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** As `size`. @throws ShapeError unless every side is a whole number above 0 */
export function checkedSize(where: string, shape: readonly number[]): number {
  if (!Array.isArray(shape)) throw new ShapeError(`${where}: the shape is ${show(shape)}, must be an array of sides`);
  for (const side of shape) {
    if (Number.isSafeInteger(side) && side > 0) continue;
    throw new ShapeError(`${where}: a shape of ${format(shape.map(show))}: sides must be whole numbers above 0`);
  }
  return size(shape);
}

/** A shape for people: 96 × 55 × 55 × 128. */
export function format(shape: readonly (number | string)[]): string {
  return shape.length === 0 ? "scalar" : shape.join(" × ");
}
