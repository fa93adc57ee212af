/** One pass of one layer, forward or one of its gradients, computed again and again in the same memory. */
import type { Backend, HostArray, KernelTime } from "../src/engine/backend.ts";
import type { ElementType } from "../src/engine/kernel.ts";
import { Parameter } from "../src/engine/parameter.ts";
import { poolOf } from "../src/engine/pool.ts";
import { Tape } from "../src/engine/tape.ts";
import { size, Tensor } from "../src/engine/tensor.ts";
import type { LayerCall, Placement, SimpleLayer } from "../src/net/layer.ts";
import { numbers } from "./data.ts";
import type { Operands } from "./exact.ts";

/** A layer that computes something itself, in its place. */
export interface PlacedSimple extends Placement {
  readonly layer: SimpleLayer;
}

export type PassName = "forward" | "input gradient" | "weight gradient" | "bias gradient";

/** In training, with the same dropout mask each time. */
const TRAINING: LayerCall = { training: true, key: [0, 1], state: [] };

/** A tape that hands out the op's backward function instead of running it, and takes memory back after each pass. */
class PassTape extends Tape {
  output: Tensor | undefined;
  backwardOf: ((dy: Tensor) => void) | undefined;
  /** Fills new memory with what no kernel computes, so that a result that is not written is seen. */
  spoiling = false;
  gradient: Tensor | undefined;
  readonly #recent: Tensor[] = [];

  override allocate(shape: readonly number[], type: ElementType = "f32"): Tensor {
    const tensor = super.allocate(shape, type);
    this.#recent.push(tensor);
    if (this.spoiling) this.backend.write(tensor.buffer, spoiled(type, tensor.size));
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

  /** Keeps what was allocated so far for good. */
  settle(): void {
    this.#recent.length = 0;
  }

  /** Gives what was allocated since back to the pool; the next pass gets the same. */
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
  /** Queues it once. */
  queue(): void;
  /** Computes it in spoiled memory and returns the result. */
  compute(): Promise<HostArray>;
  free(): void;
}

/** Numbers for a layer: its input, its parameters (empty where it has none), the gradient of its output. */
export function operandsOf({ input, output, parameters }: Placement, images: number, zeroBias = false): Operands {
  const [w, b] = parameters.map(({ shape }) => size(shape));
  // Weights of such a size that an output is about as large as an input.
  const scale = w && b ? Math.sqrt((3 * b) / w) : 0;
  return {
    x: numbers(size(input) * images, 1),
    w: numbers(w ?? 0, 2).map((value) => value * scale),
    b: zeroBias ? new Float32Array(b ?? 0) : numbers(b ?? 0, 3),
    dy: numbers(size(output) * images, 4),
  };
}

/** Brings a layer with its operands to a device. @throws DeviceError when there is no memory for it */
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

/** A fully connected layer's output has two sides. */
function shapeOf(output: readonly number[], images: number, kind: string): number[] {
  return kind === "fc" ? [size(output), images] : [...output, images];
}

function release(tape: Tape, weights: readonly Parameter[]): void {
  tape.release();
  poolOf(tape.backend).trim();
  for (const parameter of weights) parameter.free();
}

/** Queues something several times at once. @returns the ms of each time: the sum of its kernels */
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
