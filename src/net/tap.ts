/** Where a network is tapped for features: the activations of a layer as the vector that describes an image. */
import { size } from "../engine/tensor.ts";
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { leaves, type PlacedLayer } from "./model.ts";

export interface Tap {
  /** For people: fc7, or "input of fc10". */
  readonly name: string;
  /** How many layers to run, from the first. */
  readonly count: number;
  /** Numbers per image. */
  readonly size: number;
}

/**
 * After the layer called `name`, with the batch normalisation and the activation function that directly follow it.
 * Without a name, the input of the last layer with weights: in AlexNet fc7 after its ReLU, as in the paper (§6.1).
 * @throws UsageError when no layer has that name
 */
export function findTap(layers: readonly PlacedLayer[], name?: string): Tap {
  const weighted = layers.flatMap((layer, i) =>
    leaves([layer]).some(({ parameters }) => parameters.length > 0) ? [i] : [],
  );
  const last = weighted.at(-1)!;
  if (name === undefined) {
    const before = weighted.at(-2);
    const isHidden = before !== undefined && layers[before]!.layer.kind === "fc";
    return at(layers, last, isHidden ? layers[before]!.layer.name : `input of ${layers[last]!.layer.name}`);
  }
  const found = weighted.find((i) => layers[i]!.layer.name === name);
  if (found === undefined) {
    const names = weighted.map((i) => layers[i]!.layer.name);
    throw new UsageError(`no layer is called "${name}"${suggest(name, names)}; there are ${names.join(", ")}`);
  }
  let count = found + 1;
  if (layers[count]?.layer.kind === "batch-norm") count++;
  const next = layers[count]?.layer;
  if (next !== undefined && "isActivation" in next && next.isActivation) count++;
  return at(layers, count, name);
}

function at(layers: readonly PlacedLayer[], count: number, name: string): Tap {
  const last = layers[count - 1];
  return { name, count, size: size(last ? last.output : layers[0]!.input) };
}
