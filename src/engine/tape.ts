import { ShapeError } from "../errors.ts";
import { checkOptions, requireNumber, show, type OptionKinds } from "../options.ts";
import { ARRAYS, ELEMENT_BYTES, view, type Backend, type HostArray } from "./backend.ts";
import { constant } from "./constant.ts";
import { checkInputs } from "./inputs.ts";
import { fourEach, kernel, line, type ElementType, type Kernel } from "./kernel.ts";
import { Parameter } from "./parameter.ts";
import { poolOf } from "./pool.ts";
import {
  checkedSize,
  format,
  Tensor,
  type AllReduce,
  type AnyTensor,
  type Entry,
  type Owner,
  type Part,
  type TypeOf,
} from "./tensor.ts";
import accumulateWgsl from "../../kernels/wgsl/accumulate.wgsl" with { type: "text" };

export interface TapeOptions {
  /** Whether to record, for backward(); true by default. */
  readonly record?: boolean;
  /** This device's part of the step; all of it by default. */
  readonly part?: Part;
  /** For sums over the images of all devices; where none is given, an op only knows of its own. */
  readonly allReduce?: AllReduce;
}

export interface BackwardOptions {
  /** Factor of the loss, where it is part of a sum over several devices; 1 by default. */
  readonly weight?: number;
  /** Where the loss was computed elsewhere: its gradient with respect to the tensor passed as `loss`. */
  readonly gradient?: Tensor;
  /** Called for each parameter once everything that computes its gradient is queued. */
  readonly onGradient?: (parameter: Parameter) => void;
}

/**
 * Records a step and owns its memory. Each op appends how its inputs' gradients are computed; backward() runs that in
 * reverse; release() returns the step's buffers to the pool. With `record: false` it only owns memory, for inference.
 */
export class Tape implements Owner, Disposable {
  readonly backend: Backend;
  readonly recording: boolean;
  readonly part: Part | undefined;
  readonly allReduce: AllReduce | undefined;
  readonly #entries: Entry[] = [];
  readonly #owned = new Set<AnyTensor>();
  /** What the entries read. */
  readonly #read = new Set<AnyTensor>();
  /** How many entries have yet to add to each parameter's gradient. */
  readonly #uses = new Map<Parameter, number>();

  constructor(backend: Backend, options: TapeOptions = {}) {
    checkOptions("Tape", options, { record: "boolean?", part: "object?", allReduce: "function?" });
    const { record = true, part, allReduce } = options;
    this.backend = backend;
    this.recording = record;
    this.part = part;
    this.allReduce = allReduce;
  }

  /** A tensor that lives until release(), or until backward() no longer needs it. Its contents are undefined. */
  allocate<T extends ElementType = "f32">(shape: readonly number[], type?: T): Tensor<T> {
    const buffer = poolOf(this.backend).take(type ?? "f32", checkedSize("allocate", shape));
    const tensor = new Tensor<T>(this.backend, shape, buffer, this);
    this.#owned.add(tensor);
    return tensor;
  }

  /** Memory for numbers that are stored as those of x are, of its shape if none is given; as `allocate`. */
  like(x: Tensor, shape: readonly number[] = x.shape): Tensor {
    return this.allocate(shape, x.stored) as Tensor;
  }

  /**
   * A tensor with these contents: a Float32Array, or a Float16Array where the device has half precision, a
   * Uint32Array (class indices) or a Uint8Array (pixels).
   * @throws ShapeError for another kind of array, or when its length is not that of the shape
   */
  input<A extends HostArray>(
    shape: readonly number[],
    data: A,
    options: { requiresGrad?: boolean } = {},
  ): Tensor<TypeOf<A>> {
    checkOptions("input", options, { requiresGrad: "boolean?" });
    const type = typeOf(data, this.backend);
    const length = checkedSize("input", shape);
    if (data.length !== length) {
      throw new ShapeError(`input: ${data.length} elements for shape ${format(shape)}, which has ${length}`);
    }
    const tensor = this.allocate(shape, type as TypeOf<A>);
    tensor.requiresGrad = options.requiresGrad ?? false;
    if (type === "u32") tensor.largest = (data as Uint32Array).reduce((most, each) => Math.max(most, each), 0);
    this.backend.write(tensor.buffer, data);
    return tensor;
  }

  /**
   * Records how gradients flow from `output` to `inputs`. `saved` are other tensors that `backward` reads; once it has
   * run, they and the output return to the pool. Where nothing is recorded, `saved` return to it at once.
   */
  record(entry: Entry): void {
    if (!this.recording || !entry.inputs.some((input) => input.requiresGrad)) {
      for (const tensor of entry.saved) this.done(tensor);
      return;
    }
    entry.output.requiresGrad = true;
    for (const input of learning(entry)) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
    for (const tensor of entry.reads ?? [...entry.inputs, entry.output]) this.#read.add(tensor);
    this.#entries.push(entry);
  }

  /** Told that the forward pass needs x no longer, frees its memory if backward() doesn't either. */
  done(x: AnyTensor): void {
    if (!x.kept && !this.#read.has(x)) this.#giveBack(x);
  }

  /**
   * Called inside `backward`: has `write` compute the gradient of x, and adds it if x already has one from another use.
   * Does nothing if x requires no gradient.
   * @param beforeActivation whether `write` leaves 0 where x's activation function has no slope
   */
  accumulate(x: Tensor, write: (dx: Tensor) => void, beforeActivation = false): void {
    if (!x.requiresGrad) return;
    x.gradBeforeActivation = beforeActivation && (!x.grad || x.gradBeforeActivation);
    if (!x.grad) {
      x.grad = x instanceof Parameter ? x.gradientStorage() : this.like(x);
      write(x.grad);
      return;
    }
    const more = this.like(x);
    write(more);
    runElements(accumulateKernel, { x: more, y: x.grad }, {});
    this.#giveBack(more);
  }

  /**
   * Called inside `backward`, for an input whose gradient is that of the op's output y, where the op needs that no longer:
   * x takes it over, without a copy. @returns false, having done nothing, if x has a gradient already or y is kept
   */
  takeOver(x: Tensor, y: Tensor): boolean {
    if (!x.requiresGrad || x.grad || x instanceof Parameter || y.kept) return false;
    [x.grad, y.grad] = [y.grad, undefined];
    x.gradBeforeActivation = false;
    return true;
  }

  /**
   * Computes the gradient of a scalar loss with respect to every tensor that requires one. It uses up the recording:
   * another backward() needs another forward pass.
   * @throws ShapeError unless the loss is of this tape, a scalar or given with its `gradient`, and depends on a tensor
   * that requires a gradient
   */
  backward(loss: Tensor, options: BackwardOptions = {}): void {
    checkOptions("backward", options, BACKWARD_OPTIONS);
    const { weight = 1, gradient, onGradient } = options;
    checkInputs("backward", { loss, ...(gradient && { gradient }) });
    requireNumber("backward", { weight });
    if (loss.tape !== this) throw new ShapeError("backward: the loss belongs to another tape");
    if (gradient && format(gradient.shape) !== format(loss.shape)) {
      throw new ShapeError(`backward: gradient ${format(gradient.shape)} for a tensor of shape ${format(loss.shape)}`);
    }
    if (!gradient && loss.size !== 1) {
      throw new ShapeError(`backward: the loss has shape ${format(loss.shape)}, must be a scalar`);
    }
    if (!loss.requiresGrad) {
      throw new ShapeError("backward: the loss depends on no tensor that requires a gradient");
    }
    if (!this.#entries.some(({ output }) => output === loss)) {
      throw new ShapeError(
        "backward: nothing recorded leads to this loss, or its gradients are already computed: " +
          "run the forward pass again",
      );
    }
    loss.keep();
    loss.grad = gradient ?? constant(this.backend, weight, [1]);
    for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) {
      const { output, saved, backward } = entry;
      if (output.grad) backward(output.grad);
      for (const parameter of learning(entry)) {
        const left = this.#uses.get(parameter)! - 1;
        this.#uses.set(parameter, left);
        if (left === 0 && parameter.grad) onGradient?.(parameter);
      }
      for (const tensor of saved) if (!tensor.kept) this.#giveBack(tensor);
      if (output.kept) continue;
      if (output.grad) this.#giveBack(output.grad);
      output.grad = undefined;
      this.#giveBack(output);
    }
  }

  /** Ends the step: starts queued work, and returns the memory of all the tape's tensors to the pool. */
  release(): void {
    this.backend.flush();
    this.#entries.length = 0;
    this.#uses.clear();
    this.#read.clear();
    for (const tensor of this.#owned) this.#giveBack(tensor);
  }

  /** `using tape = new Tape(device)` releases at the end of the block. */
  [Symbol.dispose](): void {
    this.release();
  }

  #giveBack(tensor: AnyTensor): void {
    if (!this.#owned.delete(tensor)) return;
    const buffer = tensor.detach();
    if (buffer) poolOf(this.backend).give(buffer);
  }
}

const BACKWARD_OPTIONS: OptionKinds<BackwardOptions> = {
  weight: "number?",
  gradient: "object?",
  onGradient: "function?",
};

/** @throws ShapeError for an array that no tensor can hold */
function typeOf(data: HostArray, { kind }: Backend): ElementType {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Uint32Array) return "u32";
  if (data instanceof Uint8Array) return "u8";
  if (ARRAYS.f16 && data instanceof ARRAYS.f16) return "f16";
  // Gradients are checked in double precision.
  if (data instanceof Float64Array && kind === "reference") return "f32";
  throw new ShapeError(
    `input: the data are ${show(data)}, must be a Float32Array or Float16Array, a Uint32Array (class indices) or a Uint8Array (pixels)`,
  );
}

/** y ← y + x */
export const accumulateKernel = kernel({
  name: "accumulate",
  module: import.meta.url,
  wgsl: accumulateWgsl,
  buffers: { x: "read", y: "update" },
  uniforms: { size: "u32" },
  workgroups: ({ size }) => line(size),
  variants: [fourEach("accumulate", accumulateWgsl)],
  reference({ x, y }, { size }) {
    for (let i = 0; i < size; i++) y[i]! += x[i]!;
  },
});

/**
 * Runs a kernel that computes element by element, in pieces that the device can bind. Tensors smaller than the largest
 * are bound whole.
 * @param row as in `pieces`
 */
export function runElements<B extends string, U extends string>(
  kernel: Kernel<B, U>,
  tensors: Readonly<Record<B, Tensor>>,
  uniforms: Readonly<Record<Exclude<U, "size">, number>>,
  row = 1,
): void {
  // Of two as large, the one of larger numbers.
  const bytes = ({ size, stored }: Tensor) => size * ELEMENT_BYTES[stored];
  const largest = Object.values<Tensor>(tensors).reduce((most, each) =>
    each.size > most.size || (each.size === most.size && bytes(each) > bytes(most)) ? each : most,
  );
  for (const [offset, size] of pieces(largest, row)) {
    const parts = Object.entries<Tensor>(tensors).map(([name, tensor]) => {
      return [name, tensor.size === largest.size ? view(tensor.buffer, offset, size) : tensor.buffer];
    });
    largest.backend.run(kernel, Object.fromEntries(parts), { size, ...uniforms } as Record<U, number>);
  }
}

/**
 * Records an op by its inputs, each with what writes its gradient from the output's.
 * @returns the output
 */
export function record(
  output: Tensor,
  ...gradients: readonly (readonly [input: Tensor, write: (dx: Tensor, dy: Tensor) => void])[]
): Tensor {
  const tape = output.tape!;
  const backward = (dy: Tensor) => {
    for (const [input, write] of gradients) tape.accumulate(input, (dx) => write(dx, dy));
  };
  tape.record({ inputs: gradients.map(([input]) => input), output, saved: [], backward });
  return output;
}

/**
 * Cuts a tensor into runs of elements that the device can bind; usually there is just one. Runs start at multiples of
 * `row` elements, and where the device lets a view start.
 */
export function pieces(x: Tensor, row = 1): [offset: number, length: number][] {
  const { bindingBytes, viewAlignment } = x.backend.limits;
  const [total, bytes] = [x.size, ELEMENT_BYTES[x.stored]];
  if (total * bytes <= bindingBytes) return [[0, total]];
  let step = row;
  while ((step * bytes) % viewAlignment !== 0) step += row;
  const length = Math.floor(bindingBytes / bytes / step) * step;
  if (length === 0) {
    throw new ShapeError(
      `a row of ${step} numbers has ${step * bytes} bytes, but this device binds at most ${bindingBytes}: ` +
        `use a smaller batch or another device`,
    );
  }
  const runs: [number, number][] = [];
  for (let offset = 0; offset < total; offset += length) runs.push([offset, Math.min(length, total - offset)]);
  return runs;
}

/** The parameters whose gradients an entry computes. */
function learning({ inputs }: Entry): Parameter[] {
  return inputs.filter((input): input is Parameter => input instanceof Parameter && input.requiresGrad);
}
