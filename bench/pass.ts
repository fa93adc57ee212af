/** One pass of a layer, forward or a gradient, computed repeatedly in the same memory. */
import type { Backend, HostArray, KernelTime } from "../src/engine/backend.ts";
import type { ElementType } from "../src/engine/kernel.ts";
import { Parameter } from "../src/engine/parameter.ts";
import { poolOf } from "../src/engine/pool.ts";
import { Tape } from "../src/engine/tape.ts";
import { size, Tensor, type AnyTensor } from "../src/engine/tensor.ts";
import type { LayerCall, Placement, SimpleLayer } from "../src/net/layer.ts";
import { numbers } from "./data.ts";
import type { Operands } from "./exact.ts";

/** A layer that computes something itself, in its place. */
export interface PlacedSimple extends Placement {
  readonly layer: SimpleLayer;
}

export type PassName = "forward" | "input gradient" | "weight gradient" | "bias gradient";

/** Training mode, with the same dropout mask each time. */
const TRAINING: LayerCall = { training: true, key: [0, 1], state: [] };

/** A tape that exposes the op's backward function instead of running it, and reuses memory after each pass. */
class PassTape extends Tape {
  output: Tensor | undefined;
  backwardOf: ((dy: Tensor) => void) | undefined;
  /** Whether to fill new memory with NaN and the like, to detect results that are not written. */
  spoiling = false;
  gradient: Tensor | undefined;
  readonly #recent: AnyTensor[] = [];

  override allocate<T extends ElementType = "f32">(shape: readonly number[], type?: T): Tensor<T> {
    const tensor = super.allocate(shape, type);
    this.#recent.push(tensor);
    if (this.spoiling) this.backend.write(tensor.buffer, spoiled(tensor.buffer.type, tensor.size));
    return tensor;
  }

  override record(entry: Parameters<Tape["record"]>[0]): void {
    this.output = entry.output;
    this.backwardOf = entry.backward;
  }

  override accumulate(x: Tensor, write: (dx: Tensor) => void): void {
    if (!x.requiresGrad) return;
    this.gradient = this.allocate(x.shape);
    write(this.gradient);
  }

  /** Keeps all memory allocated so far. */
  settle(): void {
    this.#recent.length = 0;
  }

  /** Returns memory allocated since to the pool, for the next pass to reuse. */
  recycle(): void {
    for (const tensor of this.#recent.splice(0)) {
      const buffer = tensor.detach();
      if (buffer) poolOf(this.backend).give(buffer);
    }
  }
}

function spoiled(type: ElementType, length: number): HostArray {
  if (type === "f32") return new Float32Array(length).fill(NaN);
  return type === "u32" ? new Uint32Array(length).fill(2 ** 32 - 1) : new Uint8Array(length).fill(255);
}

export interface LayerPass {
  /** Queues the pass once. */
  queue(): void;
  /** Computes the pass in spoiled memory and returns the result. */
  compute(): Promise<HostArray>;
  free(): void;
}

/** Operands of a layer: its input, its parameters (empty if it has none), and the gradient of its output. */
export function operandsOf({ input, output, parameters }: Placement, images: number, zeroBias = false): Operands {
  const [w, b] = parameters.map(({ shape }) => size(shape));
  // Weights are scaled so that outputs are about as large as inputs.
  const scale = w && b ? Math.sqrt((3 * b) / w) : 0;
  return {
    x: numbers(size(input) * images, 1),
    w: numbers(w ?? 0, 2).map((value) => value * scale),
    b: zeroBias ? new Float32Array(b ?? 0) : numbers(b ?? 0, 3),
    dy: numbers(size(output) * images, 4),
  };
}

/** Uploads a layer and its operands to a device. @throws DeviceError when there is not enough memory */
export function loadPass(
  backend: Backend,
  { layer, input, output, parameters }: PlacedSimple,
  pass: PassName,
  operands: Operands,
): LayerPass {
  const images = operands.x.length / size(input);
  const tape = new PassTape(backend);
  const weights = parameters.map((spec) => new Parameter(backend, spec.name, spec.shape));
  try {
    weights.forEach((parameter, i) => backend.write(parameter.buffer, i === 0 ? operands.w : operands.b));
    const x = tape.input([...input, images], operands.x);
    const dy = pass === "forward" ? undefined : tape.input(shapeOf(output, images, layer.kind), operands.dy);
    const wanted = { forward: undefined, "input gradient": x, "weight gradient": weights[0], "bias gradient": weights[1] }[pass]; // prettier-ignore
    for (const tensor of [x, ...weights]) tensor.requiresGrad = tensor === wanted;
    if (dy) layer.forward(x, weights, TRAINING);
    tape.settle();
    const run = () => (dy ? tape.backwardOf!(dy) : void layer.forward(x, weights, TRAINING));
    return {
      queue() {
        run();
        tape.recycle();
      },
      async compute() {
        tape.spoiling = true;
        run();
        tape.spoiling = false;
        const result = await (dy ? tape.gradient : tape.output)!.read();
        tape.recycle();
        return result;
      },
      free: () => release(tape, weights),
    };
  } catch (error) {
    release(tape, weights);
    throw error;
  }
}

/** A fully connected layer's output is two-dimensional. */
function shapeOf(output: readonly number[], images: number, kind: string): number[] {
  return kind === "fc" ? [size(output), images] : [...output, images];
}

function release(tape: Tape, weights: readonly Parameter[]): void {
  tape.release();
  poolOf(tape.backend).trim();
  for (const parameter of weights) parameter.free();
}

/** Queues work several times at once. @returns for each time the ms of all its kernels */
export async function profileRepeats(backend: Backend, queue: () => void, repeats: number): Promise<Repeats> {
  const all = await backend.profile(() => {
    for (let i = 0; i < repeats; i++) queue();
  });
  const each = all.length / repeats;
  const samples = Array.from({ length: repeats }, (_, i) =>
    all.slice(i * each, (i + 1) * each).reduce((sum, { ms }) => sum + ms, 0),
  );
  return { samples, kernels: all.slice(0, each) };
}

interface Repeats {
  readonly samples: number[];
  readonly kernels: readonly KernelTime[];
}
