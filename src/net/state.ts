/** Named numbers that training changes and checkpoints keep: parameters, and what an optimizer holds beside them. */
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

/** All that steps change: the parameters of a model, and the state of its optimizer. */
export function trainedState(
  { parameters }: Model,
  { state }: { readonly state: readonly StateTensor[] },
): readonly StateTensor[] {
  return [...parameters.map((parameter) => stateTensor(parameter.name, parameter)), ...state];
}
