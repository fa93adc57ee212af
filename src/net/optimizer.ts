/** What every optimizer is: it moves parameters along their gradients, and keeps state from step to step. */
import type { Parameter } from "../engine/parameter.ts";
import { Tensor } from "../engine/tensor.ts";
import { ShapeError } from "../errors.ts";
import { requireNumber, show } from "../options.ts";
import { layerOf, type Model } from "./model.ts";
import type { StateTensor } from "./state.ts";

/** What a recipe says of its optimizer. */
export interface OptimizerSettings {
  readonly momentum: number;
  readonly decay: number;
  /** Biases learn at this multiple of the rate. */
  readonly biasRate: number;
  /** Whether weight decay applies to biases too. */
  readonly biasDecay: boolean;
}

export interface Optimizer {
  /**
   * Everything it keeps between steps: one tensor of the parameter's shape, named KIND.PARAMETER, for each kind of state
   * and each parameter; or a tensor of one element, such as a step count (exact up to 2²⁴ in float32). Names begin with
   * "optimizer." except for SGD's velocities. The same model has the same state in the same order.
   */
  readonly state: readonly StateTensor[];
  /**
   * Moves every parameter that has a gradient, and clears the gradient.
   * @param rateOf the learning rate of a layer's weights; 0 leaves the layer as it is
   * @throws ShapeError when that is no function, or a rate is negative or not finite
   */
  step(rateOf: (layer: string) => number): void;
  free(): void;
}

/** An optimizer's class: its instances belong to one model, with state that is zero at first. */
export interface OptimizerClass {
  /** @throws ShapeError for settings that make no sense */
  new (model: Model, settings: OptimizerSettings): Optimizer;
  /** Bytes of state on the device for a parameter of `size` elements. */
  stateBytes(size: number): number;
}

/** What of a step concerns one parameter; `index` is its place in the model. */
export interface Update {
  readonly index: number;
  readonly parameter: Parameter;
  readonly gradient: Tensor;
  readonly rate: number;
  readonly decay: number;
}

/**
 * Calls `update` for every parameter that has a gradient and a rate above 0, and clears all gradients.
 * @throws ShapeError as `Optimizer.step` does, naming the method
 */
export function eachUpdate(
  method: string,
  model: Model,
  { decay, biasRate, biasDecay }: OptimizerSettings,
  rateOf: (layer: string) => number,
  update: (update: Update) => void,
): void {
  if (typeof rateOf !== "function") throw new ShapeError(`${method}: ${show(rateOf)}, must be a function of the layer`);
  for (const [index, parameter] of model.parameters.entries()) {
    const { grad: gradient } = parameter;
    if (!gradient) continue;
    const spec = model.specs[index]!;
    const isBias = spec.role === "bias";
    const layer = layerOf(parameter.name);
    const layerRate = rateOf(layer);
    requireNumber(method, { [`the rate of ${layer}`]: layerRate }, 0);
    const rate = layerRate * (isBias ? biasRate : 1);
    const ownDecay = isBias && !biasDecay ? 0 : (spec.decay ?? decay);
    if (rate > 0) update({ index, parameter, gradient, rate, decay: ownDecay });
    parameter.grad = undefined;
  }
}

/** Zeros of each parameter's shape, in memory of their own. */
export function zerosLike(parameters: readonly Parameter[]): Tensor[] {
  return parameters.map(({ backend, shape, size }) => {
    const buffer = backend.allocate("f32", size);
    backend.write(buffer, new Float32Array(size));
    return new Tensor(backend, shape, buffer);
  });
}

/** Gives back the memory of `zerosLike`. */
export function freeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    const buffer = tensor.detach();
    if (buffer) tensor.backend.free(buffer);
  }
}
