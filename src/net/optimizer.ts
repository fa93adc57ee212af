/** What optimizers have in common: they move parameters along their gradients, and keep state from step to step. */
import type { Parameter } from "../engine/parameter.ts";
import { Tensor } from "../engine/tensor.ts";
import { ShapeError } from "../errors.ts";
import { requireNumber, show } from "../options.ts";
import { checkGroups, factorOf } from "./later/groups.ts";
import type { ParameterSpec } from "./layer.ts";
import { layerOf } from "./model.ts";
import type { ParameterGroup } from "./recipe.ts";
import type { StateTensor } from "./state.ts";

/** An optimizer's settings in a recipe. */
export interface OptimizerSettings {
  readonly momentum: number;
  readonly decay: number;
  /** Biases learn at this multiple of the rate. */
  readonly biasRate: number;
  /** Whether weight decay applies to biases too. */
  readonly biasDecay: boolean;
  readonly groups?: readonly ParameterGroup[];
}

export interface Optimizer {
  /**
   * Everything it keeps between steps: for each kind of state and each parameter a tensor of the parameter's shape,
   * named KIND.PARAMETER; or tensors of one element, such as a step count (exact up to 2²⁴ in float32). Names begin
   * with "optimizer.", except for SGD's velocities. For a given model, the state is the same in the same order.
   */
  readonly state: readonly StateTensor[];
  /**
   * Moves every parameter that has a gradient, and clears the gradient.
   * @param rateOf the learning rate, of all or of a layer's weights; 0 leaves the layer as it is
   * @param done the share of the training that is completed with this step; 0 if not given
   * @throws ShapeError if `rateOf` is neither a number nor a function, or a rate is negative or not finite
   */
  step(rateOf: Rate, done?: number): void;
  /** Exchanges the weights with averages of them, which are to be evaluated and kept as the best; absent without these. */
  swap?(): Promise<void>;
  free(): void;
}

/** A learning rate, or the rate of each layer by the layer's name. */
export type Rate = number | ((layer: string) => number);

/** What an optimizer knows of a model, or of a part of one. */
export interface Learned {
  readonly network: { readonly name: string };
  readonly parameters: readonly Parameter[];
  readonly specs: readonly Pick<ParameterSpec, "name" | "role" | "decay">[];
  /** What gradients are to be divided by; 1 if not given. */
  readonly lossScale?: number;
}

/** What an optimizer can move: a model, or parameters that belong to none. Of these, biases have names in "bias". */
export type Learnable = Learned | readonly Parameter[];

/** An optimizer's class. An instance belongs to one model, and its state starts at zero. */
export interface OptimizerClass {
  /** @throws ShapeError for invalid settings */
  new (model: Learnable, settings?: Partial<OptimizerSettings>): Optimizer;
  /** The usual learning rate, for recipes that were made for SGD; absent if they hold for it too. */
  readonly rate?: number;
  /** Whether an element's update depends on others, so that --split can't cut parameters into parts. */
  readonly needsWhole?: boolean;
}

const DEFAULTS: OptimizerSettings = { momentum: 0.9, decay: 0, biasRate: 1, biasDecay: false };

/**
 * What an optimizer is made of.
 * @param optimizer its name, for messages
 * @param given may hold more, as a recipe does; what it lacks is 0.9 for the momentum, no decay, and 1 for biases' rate
 * @throws ShapeError for numbers that are negative or not finite; UsageError for a group of no parameters
 */
export function prepare(
  optimizer: string,
  of: Learnable,
  given: Partial<OptimizerSettings> = {},
): [model: Learned, settings: OptimizerSettings] {
  const settings = { ...DEFAULTS, ...given };
  const { momentum, decay, biasRate, groups = [] } = settings;
  const model = "specs" in of ? of : alone(of);
  const { network, specs } = model;
  requireNumber(optimizer, { momentum, decay, biasRate }, 0);
  for (const { rate = 1, decay = 1 } of groups) requireNumber(optimizer, { rate, decay }, 0);
  checkGroups(optimizer, groups, network.name, specs);
  return [model, settings];
}

function alone(parameters: readonly Parameter[]): Learned {
  const specs = parameters.map(({ name }) => ({ name, role: name.endsWith("bias") ? "bias" : "weight" }) as const);
  return { network: { name: "the network" }, parameters, specs };
}

/** One parameter's update in a step; `index` is the parameter's in `model.parameters`. */
interface Update {
  readonly index: number;
  readonly parameter: Parameter;
  readonly gradient: Tensor;
  readonly rate: number;
  readonly decay: number;
}

/**
 * Calls `update` for every parameter that has a gradient and a rate above 0, and clears all gradients.
 * @param method named in errors
 * @throws ShapeError as `Optimizer.step`
 */
export function eachUpdate(
  method: string,
  model: Learned,
  { decay, biasRate, biasDecay, groups = [] }: OptimizerSettings,
  rateOf: Rate,
  update: (update: Update) => void,
): void {
  if (typeof rateOf !== "function" && typeof rateOf !== "number")
    throw new ShapeError(`${method}: the rate is ${show(rateOf)}, must be a number, or a function of a layer's name`);
  for (const [index, parameter] of model.parameters.entries()) {
    const { grad: gradient } = parameter;
    if (!gradient) continue;
    const spec = model.specs[index]!;
    const isBias = spec.role === "bias";
    const layer = layerOf(parameter.name);
    const layerRate = typeof rateOf === "number" ? rateOf : rateOf(layer);
    requireNumber(method, { [`the rate of ${layer}`]: layerRate }, 0);
    const rate = layerRate * (isBias ? biasRate : 1) * factorOf("rate", groups, spec);
    const ownDecay = (isBias && !biasDecay ? 0 : (spec.decay ?? decay)) * factorOf("decay", groups, spec);
    if (rate > 0) update({ index, parameter, gradient, rate, decay: ownDecay });
    parameter.grad = undefined;
  }
}

/** A new tensor of zeros for each tensor, of its shape. */
export function zerosLike(parameters: readonly Tensor[]): Tensor[] {
  const zeros = new Float32Array(Math.max(...parameters.map(({ size }) => size), 0));
  return parameters.map(({ backend, shape, size }) => {
    const buffer = backend.allocate("f32", size);
    backend.write(buffer, zeros.subarray(0, size));
    return new Tensor(backend, shape, buffer);
  });
}

/** Frees tensors made by `zerosLike`. */
export function freeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    const buffer = tensor.detach();
    if (buffer) tensor.backend.free(buffer);
  }
}
