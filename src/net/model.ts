import type { Backend } from "../engine/backend.ts";
import { initialValues } from "../engine/later/initial.ts";
import { Parameter } from "../engine/parameter.ts";
import { size, type Tensor } from "../engine/tensor.ts";
import { ShapeError, UsageError } from "../errors.ts";
import { checkOptions, requireWhole, show } from "../options.ts";
import { Purpose, Random } from "../random.ts";
import { suggest } from "../suggest.ts";
import { plural } from "../words.ts";
import { fuse, type Fused } from "./later/fuse.ts";
import {
  flatten,
  type Block,
  type ImageShape,
  type Layer,
  type ParameterSpec,
  type Pass,
  type Placement,
  type SimpleLayer,
} from "./layer.ts";
import { passMapsOn } from "./later/identity.ts";
import type { Network } from "./recipe.ts";
import { Statistic } from "./statistic.ts";

/** A layer in a network: its input and output shapes, what it learns and what it keeps. */
export interface PlacedLayer extends Placement {
  readonly layer: Layer;
  /** A block's layers, by branch. */
  readonly branches: readonly (readonly PlacedLayer[])[];
  /** Of a forward pass on one image; a block's is the sum over its layers. */
  readonly multiplyAdds: number;
}

/**
 * The layers of a network with their shapes. Allocates nothing.
 * @param where the network's origin, for error messages
 * @throws ShapeError when images of `crop` are too small for the layers
 */
export function place(network: Network, classes = network?.classes, where = network?.name): PlacedLayer[] {
  if (typeof network?.layers !== "function") {
    throw new UsageError(
      `the network is ${show(network)}, must be a Network, such as one of \`networks\`; findNetwork(name) finds one by its name`,
    );
  }
  if (!Number.isInteger(classes) || classes < 2) {
    throw new UsageError(`${network.name}: ${plural(classes, "class", "classes")}; a classifier needs at least 2`);
  }
  return placeRow(flatten(network.layers(classes)), [3, network.crop, network.crop], where);
}

/** @param path where the layers are, for error messages */
function placeRow(layers: readonly Layer[], input: ImageShape, path: string): PlacedLayer[] {
  let shape = input;
  return layers.map((layer, i) => {
    const where = `${path}: layer ${i + 1}, ${titleOf(layer)}`;
    const placed = "branches" in layer ? placeBlock(layer, shape, where) : placeSimple(layer, shape, where);
    shape = placed.output;
    return placed;
  });
}

function placeSimple(layer: SimpleLayer, input: ImageShape, where: string): PlacedLayer {
  const output = layer.outputShape?.(input) ?? input;
  if (!output.every((side) => side >= 1)) {
    throw new ShapeError(
      `${where}: an input of ${input.join("×")} is too small: its output would be ${output.join("×")}`,
    );
  }
  const [parameters, state] = [layer.parameters?.(input) ?? [], layer.state?.(input) ?? []];
  return { layer, input, output, parameters, state, branches: [], multiplyAdds: layer.multiplyAdds?.(input) ?? 0 };
}

function placeBlock(layer: Block, input: ImageShape, where: string): PlacedLayer {
  const branches = Object.entries(layer.branches).map(([name, row]) => placeRow(row, input, `${where}, ${name}`));
  const output = tryAt(where, () => layer.outputShape(branches.map((row) => row.at(-1)?.output ?? input)));
  const multiplyAdds = branches.flat().reduce((sum, placed) => sum + placed.multiplyAdds, 0);
  return { layer, input, output, parameters: [], state: [], branches, multiplyAdds };
}

/** "conv conv1", or "relu" for a layer without a name. */
export function titleOf({ kind, name }: Layer): string {
  return name === "" ? kind : `${kind} ${name}`;
}

/** Calls `work`, and puts `where` before the message of any ShapeError. */
function tryAt<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof ShapeError ? new ShapeError(`${where}: ${error.message}`, { cause: error }) : error;
  }
}

/** All layers in order, nested ones included: a block comes after its layers. */
export function leaves(layers: readonly PlacedLayer[]): PlacedLayer[] {
  return layers.flatMap((placed) => [...leaves(placed.branches.flat()), placed]);
}

/** A layer's tensors that persist from step to step. */
interface Stored {
  readonly parameters: readonly Parameter[];
  readonly state: readonly Statistic[];
  /** Its index among the random layers. */
  readonly random: number;
}

/** A network with weights, on a device. */
export class Model {
  readonly network: Network;
  readonly classes: number;
  readonly layers: readonly PlacedLayer[];
  /** In the order of the layers, weight before bias. */
  readonly parameters: readonly Parameter[];
  /** The spec of each parameter, in the same order. */
  readonly specs: readonly ParameterSpec[];
  /** Saved with the parameters but not learnt by gradient, such as running means. */
  readonly state: readonly Statistic[];
  readonly #stored = new Map<PlacedLayer, Stored>();
  /** Whether layers that keep statistics use them in training too, and leave them as they are. */
  statisticsFrozen = false;
  /**
   * Whether activations and their gradients are stored in half precision, on a device that `hasHalf`. In a loop of your
   * own, `backward` then needs `{ weight: model.lossScale }`, by which optimizers divide.
   */
  half = false;

  /** The weights are undefined until `initialise` or a checkpoint sets them. */
  constructor(network: Network, backend: Backend, classes?: number) {
    this.layers = place(network, classes);
    this.network = network;
    this.classes = classes ?? network.classes;
    const all = leaves(this.layers);
    let random = 0;
    for (const placed of all) {
      this.#stored.set(placed, {
        parameters: placed.parameters.map(({ name, shape }) => new Parameter(backend, name, shape)),
        state: placed.state.map((spec) => new Statistic(backend, spec)),
        random: "isRandom" in placed.layer && placed.layer.isRandom ? random++ : 0,
      });
    }
    this.parameters = all.flatMap((placed) => this.#stored.get(placed)!.parameters);
    this.state = all.flatMap((placed) => this.#stored.get(placed)!.state);
    this.specs = all.flatMap(({ parameters }) => parameters);
    this.parameters.forEach((parameter, i) => (parameter.requiresGrad = !this.specs[i]!.whitens));
  }

  /**
   * Factor of the loss in training, for optimizers to divide their gradients by. In half precision, numbers below 6e-8
   * are 0, and from 6e-5 on they have all their digits; of the mean loss of 128 images, gradients of activations are
   * often smaller, while this leaves those of the logits below 8.
   */
  get lossScale(): number {
    return this.half ? 1024 : 1;
  }

  /** Draws the initial weights, which are the same for a seed on every device. @throws ShapeError */
  initialise(seed: number): void {
    requireWhole("initialise", { seed }, 0);
    this.parameters.forEach((parameter, i) => {
      const random = new Random(seed, Purpose.weights, i);
      parameter.backend.write(parameter.buffer, valuesOf(this.specs[i]!, random));
    });
    for (const statistic of this.state) statistic.reset();
  }

  /**
   * Stops these layers from learning; gradients that only frozen layers would need are not computed.
   * @throws UsageError for a layer that has no weights
   */
  freeze(layers: readonly string[]): void {
    checkOptions("freeze", { layers }, { layers: "string[]" });
    const names = [...new Set(this.parameters.map(({ name }) => layerOf(name)))];
    const unknown = layers.find((layer) => !names.includes(layer));
    if (unknown !== undefined) {
      throw new UsageError(
        `freeze: ${this.network.name} has no layer "${unknown}" that learns${suggest(unknown, names)}; there are ${names.join(", ")}`,
      );
    }
    for (const parameter of this.parameters) {
      if (layers.includes(layerOf(parameter.name))) parameter.requiresGrad = false;
    }
  }

  /**
   * Layers `first` to `end` − 1, in as few passes over memory as their ops can do.
   * @param x 3 × crop × crop × N, or the output of the layer before `first`
   * @returns the last layer's output: of the whole network the logits, classes × N
   */
  forward(x: Tensor, pass: Pass = EVALUATION, end = this.layers.length, first = 0): Tensor {
    return this.#row(this.layers.slice(first, end), x, pass);
  }

  /**
   * The outputs of layers `first` to `end` − 1, each computed by itself: C × H × W × N, or features × N after a fully
   * connected layer. On a tape that records, `backward` frees those that are not kept.
   * @param first the layer that takes x as its input
   */
  outputs(x: Tensor, pass: Pass = EVALUATION, end = this.layers.length, first = 0): Tensor[] {
    const outputs: Tensor[] = [];
    for (const placed of this.layers.slice(first, end)) outputs.push(this.#row([placed], outputs.at(-1) ?? x, pass));
    return outputs;
  }

  #row(row: readonly PlacedLayer[], x: Tensor, pass: Pass): Tensor {
    // In training and for gradients, batch normalisation needs the convolution's own result.
    const folds = !pass.training && x.tape?.recording === false;
    return fuse(row, folds).reduce((y, fused) => {
      const next = this.#apply(fused, y, pass);
      done(y, x, next);
      return next;
    }, x);
  }

  #apply({ placed, norm, activation, maxPool }: Fused<PlacedLayer>, x: Tensor, pass: Pass): Tensor {
    const { layer, branches } = placed;
    if ("branches" in layer) {
      const outputs = branches.map((row) => this.#row(row, x, pass));
      const merged = tryAt(titleOf(layer), () => layer.merge(outputs, activation));
      for (const output of outputs) done(output, x, merged);
      return merged;
    }
    const { parameters, state, random } = this.#stored.get(placed)!;
    const fold = norm && (norm.layer as SimpleLayer).fold!(x.tape!, this.#stored.get(norm)!);
    const training = pass.training && !(this.statisticsFrozen && state.length > 0);
    const call = { training, key: pass.dropoutKey(random), state, activation, fold, maxPool };
    return tryAt(titleOf(layer), () => layer.forward(x, parameters, call));
  }

  free(): void {
    for (const tensor of [...this.parameters, ...this.state]) tensor.free();
  }
}

/** The layer whose filters see the image's colours, if the first layer with weights is a convolution. */
export function firstConvolution(layers: readonly PlacedLayer[]): PlacedLayer | undefined {
  const first = leaves(layers).find(({ parameters }) => parameters.length > 0);
  return first?.layer.kind === "conv" ? first : undefined;
}

/** "conv1" from "conv1.weight". */
export function layerOf(parameter: string): string {
  return parameter.slice(0, parameter.lastIndexOf("."));
}

/** Frees what only the layer after it needed, unless a tensor that is still in use is the same or a view of it. */
function done(tensor: Tensor, ...used: readonly Tensor[]): void {
  if (!tensor.isReleased && used.every(({ buffer }) => buffer !== tensor.buffer)) tensor.tape?.done(tensor);
}

const EVALUATION: Pass = {
  training: false,
  dropoutKey: () => [0, 0],
};

function valuesOf({ initial, shape }: ParameterSpec, random: Random): Float32Array {
  const values = initialValues(initial, size(shape), random);
  if ("identity" in initial) passMapsOn(values, shape);
  return values;
}
