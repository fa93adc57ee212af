/**
 * A network cut for several devices that take each step together, every one with its part. There are two cuts:
 *
 * - "towers" [P §3.2, Fig. 2]: each device has an equal part of every layer's maps and units. A grouped convolution
 *   reads only the device's own maps; other convolutions and fully connected layers read those of all devices.
 * - "owt", one weird trick (arXiv 1404.5997 §4): up to the first fully connected layer, each device has the whole
 *   network and some of the images; from there on, all of the images and a part of the units.
 *
 * The last layer is small: every device has all of it, and computes the loss for itself.
 */
import { ShapeError, UsageError } from "../errors.ts";
import { option } from "../option_names.ts";
import { flatten, type SimpleLayer } from "./layer.ts";
import { layerOf, leaves, place, titleOf, type PlacedLayer } from "./model.ts";
import type { Network } from "./recipe.ts";

export const CUTS = ["towers", "owt"] as const;
export type Cut = (typeof CUTS)[number];

/** What each device has a part of and all of them need: features (or maps), or images. */
type Parted = "features" | "images";

/** Layers that a device computes in a row before it needs something from the others. */
export interface Stage {
  /** Its layers in the device's network: `first` to `end` − 1. */
  readonly first: number;
  readonly end: number;
  /** What must be gathered from all devices before it can begin; undefined for the first stage. */
  readonly needs?: Parted;
  /** Whether the devices divide the images of a step, and not the network. */
  readonly byImages: boolean;
  /** Whether all devices compute the same, so that each has the whole gradient of its input. */
  readonly repeated: boolean;
}

/** One device's part of a network. */
interface NetworkPart {
  readonly network: Network;
  readonly stages: readonly Stage[];
}

/**
 * The part that each of `of` devices has of a network.
 * @throws UsageError when the network can't be divided equally
 */
export function partOf(whole: Network, cut: Cut, of: number, classes: number): NetworkPart {
  const layers = flatten(whole.layers(classes)).map((layer) => {
    if ("forward" in layer) return layer;
    throw new UsageError(`${option("split")} ${cut}: ${whole.name} has ${layer.kind} blocks, which can't be divided`);
  });
  const learning = layers.filter(({ name }) => name !== "");
  const firstFc = layers.findIndex(({ kind }) => kind === "fc");
  const last = learning.at(-1);
  if (firstFc < 0 || last?.kind !== "fc") {
    throw new UsageError(`${option("split")} ${cut}: ${whole.name} does not end in a fully connected layer`);
  }
  const own: SimpleLayer[] = [];
  const stages: Stage[] = [];
  let stage: Omit<Stage, "end"> = { first: 0, byImages: cut === "owt", repeated: false };
  let isPart = false;
  const needs = (what: Parted, repeated: boolean) => {
    stages.push({ ...stage, end: own.length });
    own.push(gathered(what, of));
    stage = { first: own.length, needs: what, byImages: false, repeated };
  };
  for (const [i, layer] of layers.entries()) {
    const isLast = layer === last;
    if (cut === "owt" && i === firstFc) needs("images", isLast);
    if (stage.byImages) own.push(layer);
    else if (layer.name === "") own.push(isPart ? (layer.part?.(of).layer ?? layer) : layer);
    else {
      const part = layer.part?.(of);
      if (!part) throw new UsageError(`${option("split")} ${cut}: ${titleOf(layer)} of ${whole.name} can't be divided`);
      if (isPart && part.reads === "all") needs("features", isLast);
      own.push(isLast ? layer : part.layer);
      isPart = !isLast;
    }
  }
  stages.push({ ...stage, end: own.length });
  const network = { ...whole, layers: () => own };
  checkParts(whole, network, cut, of, classes);
  return { network, stages };
}

/** Each of a part's parameters must be whole, or one of `of` equal blocks of rows. */
function checkParts(whole: Network, part: Network, cut: Cut, of: number, classes: number): void {
  const [all, own] = [whole, part].map((network) => parametersOf(place(network, classes)));
  for (const [name, shape] of all!) {
    const [rows = 0, ...others] = shape;
    const [ownRows, ...ownOthers] = own!.get(name) ?? [];
    const isEqual = others.join() === ownOthers.join() && (ownRows === rows || ownRows! * of === rows);
    if (!isEqual || !Number.isInteger(ownRows)) {
      throw new UsageError(
        `${option("split")} ${cut}: ${layerOf(name)} of ${whole.name} can't be divided equally among ${of} ranks`,
      );
    }
  }
}

function parametersOf(layers: readonly PlacedLayer[]): Map<string, readonly number[]> {
  return new Map(
    leaves(layers).flatMap(({ parameters }) => parameters.map(({ name, shape }) => [name, shape] as const)),
  );
}

/** Marks where the devices gather each other's parts; no device can compute it alone. */
function gathered(what: Parted, of: number): SimpleLayer {
  const never = () => {
    throw new ShapeError("a device can't gather the parts of others by itself");
  };
  return {
    ...{ kind: "gather", name: "", options: {}, settings: what },
    outputShape: ([c, h, w]) => [what === "features" ? c * of : c, h, w],
    forward: never,
    toOnnx: never,
  };
}
