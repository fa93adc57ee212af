import { ShapeError } from "../errors.ts";
import { show } from "../options.ts";
import type { ArrayOf, Backend, Buffer, HostArray } from "./backend.ts";
import type { ElementType } from "./kernel.ts";

/** How gradients flow from an op's output to its inputs. */
export interface Entry {
  readonly inputs: readonly AnyTensor[];
  readonly output: Tensor;
  readonly saved: readonly AnyTensor[];
  /** Those of inputs and output that `backward` reads; all of them if not given. */
  readonly reads?: readonly AnyTensor[];
  readonly backward: (dy: Tensor) => void;
}

/**
 * A device's part of a step's tensors, where several share the step: the images from `first` on, of a batch of `whole`;
 * or all images of the `block`-th of equal blocks of maps or features, one block per device.
 */
export type Part = { readonly first: number; readonly whole: number } | { readonly block: number };

/** Replaces numbers by their sums over all devices that share a step: the same bits on each. Blocks. */
export type AllReduce = (sums: Float64Array) => void;

/** Owns tensors' memory and records the ops on them: a step's tape, where the methods are documented. */
export interface Owner {
  readonly backend: Backend;
  readonly recording: boolean;
  readonly part: Part | undefined;
  readonly allReduce: AllReduce | undefined;
  allocate<T extends ElementType = "f32">(shape: readonly number[], type?: T): Tensor<T>;
  like(x: Tensor, shape?: readonly number[]): Tensor;
  input<A extends HostArray>(
    shape: readonly number[],
    data: A,
    options?: { requiresGrad?: boolean },
  ): Tensor<TypeOf<A>>;
  record(entry: Entry): void;
  done(x: AnyTensor): void;
  accumulate(x: Tensor, write: (dx: Tensor) => void, beforeActivation?: boolean): void;
  takeOver(x: Tensor, y: Tensor): boolean;
  release(): void;
}

/** The element type of a tensor with an array's contents. */
export type TypeOf<A extends HostArray> = A extends Uint32Array ? "u32" : A extends Uint8Array ? "u8" : "f32";

/** A tensor whose elements may be of any type. */
export type AnyTensor = Tensor<ElementType>;

/**
 * An array on a device, of elements of type T; those of an f32 tensor may be `stored` in half precision. Activations are
 * C × H × W × N with the image index innermost (features × N after a linear layer); weights are out × in/groups × kh × kw,
 * or out × in, as PyTorch has them.
 */
export class Tensor<T extends ElementType = "f32"> {
  readonly backend: Backend;
  readonly shape: readonly number[];
  /** The type of its elements in the device's memory. */
  readonly stored: ElementType;
  /** The tape that owns the buffer; undefined if the tensor outlives the step, like a parameter. */
  readonly tape: Owner | undefined;
  /** Whether backward() computes a gradient for it. */
  requiresGrad: boolean;
  /** After backward(): the gradient of the loss with respect to this tensor, of the same shape. */
  grad: Tensor | undefined;
  /** The largest value, if the tensor is an input of class indices; ops that take them check it. */
  largest: number | undefined;
  /** The activation function that its op's epilogue applied, by its number in ops/later/epilogue.ts; 0 for none. */
  activation = 0;
  /** Whether `grad` is already the gradient of what that function was applied to. */
  gradBeforeActivation = false;
  #buffer: Buffer | undefined;
  #kept = false;

  /** @throws ShapeError when the buffer's length is not that of the shape */
  constructor(backend: Backend, shape: readonly number[], buffer: Buffer, tape?: Owner, requiresGrad = false) {
    if (checkedSize("Tensor", shape) !== buffer.length) {
      throw new ShapeError(
        `Tensor: a buffer of ${buffer.length} elements for shape ${format(shape)}, which has ${size(shape)}`,
      );
    }
    this.backend = backend;
    this.shape = shape;
    this.stored = buffer.type;
    this.tape = tape;
    this.requiresGrad = requiresGrad;
    this.#buffer = buffer;
  }

  /** Number of elements. */
  get size(): number {
    return size(this.shape);
  }

  /** @throws ShapeError when the tensor's memory has returned to the pool */
  get buffer(): Buffer {
    if (this.#buffer) return this.#buffer;
    throw new ShapeError(this.whyReleased);
  }

  /** Whether its memory has returned to the pool. */
  get isReleased(): boolean {
    return this.#buffer === undefined;
  }

  /** The error message for using it after that. */
  get whyReleased(): string {
    return (
      `a tensor of shape ${format(this.shape)} was used after its memory was released: ` +
      `backward() frees what it no longer needs, release() the rest; call keep() on tensors to be read afterwards`
    );
  }

  /**
   * Keeps this tensor and its gradient through backward(), until the tape is released. To be called before another op
   * uses the tensor, so that the gradient is complete.
   */
  keep(): this {
    this.#kept = true;
    return this;
  }

  get kept(): boolean {
    return this.#kept;
  }

  /** The elements in row-major order, after everything queued so far. */
  read(): Promise<ArrayOf[T]> {
    const reading = this.backend.read(this.buffer, 0, this.size);
    const widened = this.stored === "f16" ? reading.then((elements) => new Float32Array(elements)) : reading;
    return widened as Promise<HostArray> as Promise<ArrayOf[T]>;
  }

  /** For the tape: takes the memory from the tensor. */
  detach(): Buffer | undefined {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    return buffer;
  }
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** As `size`. @throws ShapeError unless every dimension is a whole number above 0 */
export function checkedSize(where: string, shape: readonly number[]): number {
  if (!Array.isArray(shape))
    throw new ShapeError(`${where}: the shape is ${show(shape)}, must be an array of dimensions`);
  for (const side of shape) {
    if (Number.isSafeInteger(side) && side > 0) continue;
    throw new ShapeError(`${where}: shape ${format(shape.map(show))}: dimensions must be whole numbers above 0`);
  }
  return size(shape);
}

/** A readable shape: 96 × 55 × 55 × 128. */
export function format(shape: readonly (number | string)[]): string {
  return shape.length === 0 ? "scalar" : shape.join(" × ");
}
