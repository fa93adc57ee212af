/** Named tensors that training changes and checkpoints keep: parameters, layers' state, and the optimizer's. */
import type { Tensor } from "../engine/tensor.ts";
import type { Model } from "./model.ts";

export interface StateTensor {
  /** Its name in a checkpoint. */
  readonly name: string;
  readonly shape: readonly number[];
  /** The elements in row-major order, once everything queued has been computed. */
  read(): Promise<Float32Array>;
  /** Replaces all elements. */
  write(values: Float32Array): void;
}

export function stateTensor(name: string, tensor: Tensor): StateTensor {
  return {
    name,
    shape: tensor.shape,
    read: () => tensor.read() as Promise<Float32Array>,
    write: (values) => tensor.backend.write(tensor.buffer, values),
  };
}

/** A number of steps; exact up to 2²⁴ in float32. */
export function stepCount(name: string, read: () => number, write: (steps: number) => void): StateTensor {
  return {
    name,
    shape: [1],
    read: async () => Float32Array.of(read()),
    write: ([steps]) => write(steps!),
  };
}

/** Everything that a step changes: a model's parameters and state, and its optimizer's state. */
export function trainedState(
  model: Model,
  { state }: { readonly state: readonly StateTensor[] },
): readonly StateTensor[] {
  return [...[...model.parameters, ...model.state].map((tensor) => stateTensor(tensor.name, tensor)), ...state];
}
