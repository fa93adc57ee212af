import type { Backend } from "../engine/backend.ts";
import { Parameter } from "../engine/parameter.ts";
import type { Tensor } from "../engine/tensor.ts";
import { ShapeError, UsageError } from "../errors.ts";
import { checkOptions, requireWhole, show } from "../options.ts";
import { Purpose, Random } from "../random.ts";
import { suggest } from "../suggest.ts";
import { plural } from "../words.ts";
import type { ImageShape, Initial, Layer, ParameterSpec, Pass } from "./layers.ts";
import type { Network } from "./recipe.ts";

/** A layer in its place: what goes in, what comes out, what it learns. */
export interface PlacedLayer {
  readonly layer: Layer;
  readonly input: ImageShape;
  readonly output: ImageShape;
  readonly parameters: readonly ParameterSpec[];
  readonly multiplyAdds: number;
}

/** The layers of a network with their shapes, without any memory. @throws ShapeError when an image is too small. */
export function place(network: Network, classes: number = network.classes): PlacedLayer[] {
  if (typeof network?.layers !== "function") {
    throw new UsageError(
      `the network is ${show(network)}, must be one of \`networks\`, or of its kind; findNetwork(name) finds one`,
    );
  }
  if (!Number.isInteger(classes) || classes < 2) {
    throw new UsageError(`${network.name}: ${plural(classes, "class", "classes")}; a classifier needs at least 2`);
  }
  let shape: ImageShape = [3, network.crop, network.crop];
  return network.layers(classes).map((layer) => {
    const input = shape;
    shape = layer.outputShape(input);
    if (shape.some((side) => side < 1)) {
      throw new ShapeError(
        `${network.name}: ${layer.kind} ${layer.name} makes nothing of an input of ${input.join("×")}`,
      );
    }
    const [parameters, multiplyAdds] = [layer.parameters(input), layer.multiplyAdds(input)];
    return { layer, input, output: shape, parameters, multiplyAdds };
  });
}

/** A network with weights, on a device. */
export class Model {
  readonly network: Network;
  readonly classes: number;
  readonly layers: readonly PlacedLayer[];
  /** In the order of the layers, weight before bias. */
  readonly parameters: readonly Parameter[];
  /** What is known of each parameter, in the same order. */
  readonly specs: readonly ParameterSpec[];
  readonly #byLayer: readonly (readonly Parameter[])[];

  /** Its weights are undefined until `initialise` or a checkpoint sets them. */
  constructor(network: Network, backend: Backend, classes?: number) {
    this.layers = place(network, classes);
    this.network = network;
    this.classes = classes ?? network.classes;
    this.#byLayer = this.layers.map(({ parameters }) =>
      parameters.map((spec) => new Parameter(backend, spec.name, spec.shape)),
    );
    this.parameters = this.#byLayer.flat();
    this.specs = this.layers.flatMap(({ parameters }) => parameters);
  }

  /** Draws the initial weights: the same for the same seed on every device. @throws ShapeError */
  initialise(seed: number): void {
    requireWhole("initialise", { seed }, 0);
    this.parameters.forEach((parameter, i) => {
      const random = new Random(seed, Purpose.weights, i);
      parameter.backend.write(parameter.buffer, initialValues(this.specs[i]!.initial, parameter.size, random));
    });
  }

  /**
   * Stops these layers from learning: neither their gradients nor those of what is below them are computed.
   * @throws UsageError when one has no weights
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

  /** @param x 3 × crop × crop × N. @returns the logits, classes × N. */
  forward(x: Tensor, pass: Pass = EVALUATION): Tensor {
    return this.outputs(x, pass).at(-1)!;
  }

  /**
   * What comes out of each of the layers before the `end`-th, C × H × W × N, or features × N behind a fully connected one.
   * A tape that records gives back, in `backward`, those that are not kept.
   * @param first the layer that x goes into, the first of all if not given
   */
  outputs(x: Tensor, pass: Pass = EVALUATION, end = this.layers.length, first = 0): Tensor[] {
    const outputs: Tensor[] = [];
    for (let i = first; i < end; i++) {
      outputs.push(this.layers[i]!.layer.forward(outputs.at(-1) ?? x, this.#byLayer[i]!, pass));
    }
    return outputs;
  }

  free(): void {
    for (const parameter of this.parameters) parameter.free();
  }
}

/** The layer whose filters look at the colours of the image, if the network begins with a convolution. */
export function firstConvolution(layers: readonly PlacedLayer[]): PlacedLayer | undefined {
  const first = layers.find(({ parameters }) => parameters.length > 0);
  return first?.layer.kind === "conv" ? first : undefined;
}

/** conv1 of conv1.weight. */
export function layerOf(parameter: string): string {
  return parameter.slice(0, parameter.lastIndexOf("."));
}

const EVALUATION: Pass = {
  training: false,
  dropoutKey: () => [0, 0],
};

function initialValues(initial: Initial, size: number, random: Random): Float32Array {
  const values = new Float32Array(size);
  if ("constant" in initial) return values.fill(initial.constant);
  if ("normal" in initial) for (let i = 0; i < size; i++) values[i] = initial.normal * random.normal();
  else for (let i = 0; i < size; i++) values[i] = initial.uniform * (2 * random.uniform() - 1);
  return values;
}
