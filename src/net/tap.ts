/** Where a network is tapped: the activations of a layer as the numbers that describe an image. */
import { size } from "../engine/tensor.ts";
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { leaves, type PlacedLayer } from "./model.ts";

export interface Tap {
  /** For people: fc7, or "input of fc10". */
  readonly name: string;
  /** How many layers are run, from the first on. */
  readonly count: number;
  /** How many numbers come out for an image. */
  readonly size: number;
}

/**
 * Behind the layer called `name` and the activation function that follows it at once. Without a name it is what the
 * last layer with weights decides by: fc7 in AlexNet, behind its ReLU, as in the paper (§6.1).
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
  const next = layers[found + 1]?.layer;
  const isActivated = next !== undefined && "isActivation" in next && next.isActivation;
  return at(layers, isActivated ? found + 2 : found + 1, name);
}

function at(layers: readonly PlacedLayer[], count: number, name: string): Tap {
  const behind = layers[count - 1];
  return { name, count, size: size(behind ? behind.output : layers[0]!.input) };
}
