/**
 * Gradient-weighted class activation maps, Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391 §3): which parts of an image
 * speak for a class, as the last convolutional layer sees it.
 */
import { Tape } from "../engine/tape.ts";
import { UsageError } from "../errors.ts";
import { leaves, type Model, type PlacedLayer } from "../net/model.ts";
import { networkInput, type Images } from "../net/passes.ts";
import type { Member } from "./member.ts";

interface ClassActivationMaps {
  /** The convolution, or the block of them, that made the maps. */
  readonly layer: string;
  /** Positions along each side. */
  readonly side: number;
  /** For each image side × side numbers, row by row: 0 where nothing speaks for its class. */
  readonly maps: readonly Float32Array[];
}

/**
 * Computes ReLU(Σ αₖ Aᵏ): Aᵏ is the k-th map of the last convolution, αₖ the mean over its positions of the gradient of
 * the class's logit.
 * @param labels the class of each image whose map is wanted
 * @throws UsageError when the network has no such layer
 */
export async function classActivationMaps(
  { model, mean }: Member,
  images: Images,
  labels: readonly number[],
): Promise<ClassActivationMaps> {
  const last = lastMaps(model.layers);
  if (!last) {
    throw new UsageError(
      `${model.network.name} has no class activation maps: they are made of a convolution's output, which must be larger than 1×1`,
    );
  }
  const tape = new Tape(mean.backend, { record: false });
  const output = model.forward(networkInput(tape, model, mean, images), undefined, last.count);
  const { shape } = output;
  const activations = await output.read();
  tape.release();
  const gradients = await gradientsOfLogits(model, last.count, shape, activations, labels);
  const [channels, side] = shape as [number, number];
  const size = side * side;
  const maps = labels.map((_, n) => {
    const map = new Float64Array(size);
    const at = (k: number, i: number) => (k * size + i) * labels.length + n;
    for (let k = 0; k < channels; k++) {
      let weight = 0;
      for (let i = 0; i < size; i++) weight += gradients[at(k, i)]! / size;
      for (let i = 0; i < size; i++) map[i]! += weight * activations[at(k, i)]!;
    }
    return Float32Array.from(map, (value) => Math.max(0, value));
  });
  return { layer: last.name, side, maps };
}

/** For each image the gradient of its class's logit with respect to the input of layer `first`, of its shape. */
async function gradientsOfLogits(
  model: Model,
  first: number,
  shape: readonly number[],
  activations: Float32Array,
  labels: readonly number[],
): Promise<Float32Array> {
  const tape = new Tape(model.parameters[0]!.backend);
  const x = tape.input(shape, activations, { requiresGrad: true }).keep();
  // Gradients of the weights are not wanted, and a training would add its own to them.
  const learning = model.parameters.filter(({ requiresGrad }) => requiresGrad);
  for (const parameter of learning) parameter.requiresGrad = false;
  try {
    const logits = model.forward(x, undefined, undefined, first);
    const chosen = new Float32Array(logits.size);
    labels.forEach((label, n) => (chosen[label * labels.length + n] = 1));
    tape.backward(logits, { gradient: tape.input(logits.shape, chosen) });
  } finally {
    for (const parameter of learning) parameter.requiresGrad = true;
  }
  const gradients = await x.grad!.read();
  tape.release();
  return gradients;
}

export interface LastMaps {
  readonly name: string;
  /** How many layers make them. */
  readonly count: number;
}

/**
 * The last convolution, or block of them, with more than one position; rectified, as in the paper: with the batch
 * normalisation and the activation function after it, even where pooling comes between. Locally connected layers don't
 * count: a map of theirs has other filters at each position, so the mean over positions has no meaning.
 */
export function lastMaps(layers: readonly PlacedLayer[]): LastMaps | undefined {
  const isMap = ({ output: [, height, width] }: PlacedLayer) => height * width > 1;
  const last = layers.findLastIndex(
    (placed) => isMap(placed) && leaves([placed]).some(({ layer }) => layer.kind === "conv"),
  );
  if (last < 0) return undefined;
  const { name } = layers[last]!.layer;
  let count = last + 1;
  for (let i = last + 1; i < layers.length && isMap(layers[i]!); i++) {
    const { layer } = layers[i]!;
    if ("isActivation" in layer && layer.isActivation) return { name, count: i + 1 };
    if (layer.kind === "batch-norm") count = i + 1;
    else if (!layer.kind.endsWith("-pool")) break;
  }
  return { name, count };
}
