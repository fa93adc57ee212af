/**
 * How unlike an image is to all that a network was trained on: the distance of its features, the input of the last
 * layer, from the nearest that it has seen (Sun et al. 2022, arXiv 2204.06507). In place of a large set's features
 * there are means of random groups of them within each class.
 */
import { CheckpointError } from "../errors.ts";
import type { PlacedLayer } from "../net/model.ts";
import { findTap } from "../net/tap.ts";
import type { Prototypes } from "../weights/calibration.ts";
import type { Checkpoint } from "../weights/checkpoint.ts";

/** Numbers that are kept, unless one group a class takes more. */
const KEPT = 2 ** 18;
const MOST_GROUPS = 200;

/** Where the features are: how many layers come before, and how many maps they have, over whose places they are averaged. */
export function featuresOf(layers: readonly PlacedLayer[]): { readonly count: number; readonly maps: number } {
  const { count } = findTap(layers);
  const [maps] = layers[count]!.input;
  return { count, maps };
}

/** Makes prototypes of training images, as their features come. */
export class PrototypeMaker {
  readonly #maps: number;
  readonly #groups: number;
  /** Sums of features of unit length; and of each class, how many images came. */
  readonly #sums: Float64Array;
  readonly #seen: Uint32Array;

  constructor(classes: number, maps: number) {
    this.#maps = maps;
    this.#groups = Math.min(MOST_GROUPS, Math.max(1, Math.floor(KEPT / (classes * maps))));
    this.#sums = new Float64Array(classes * this.#groups * maps);
    this.#seen = new Uint32Array(classes);
  }

  /** @param row the features of an image; images come in random order */
  add(row: Float32Array, label: number): void {
    const group = label * this.#groups + (this.#seen[label]!++ % this.#groups);
    const at = group * this.#maps;
    unit(row, this.#maps).forEach((value, i) => (this.#sums[at + i]! += value));
  }

  prototypes(): Prototypes {
    const rows: Float64Array[] = [];
    for (const [label, seen] of this.#seen.entries()) {
      for (let group = 0; group < Math.min(seen, this.#groups); group++) {
        const at = (label * this.#groups + group) * this.#maps;
        rows.push(unit(this.#sums.subarray(at, at + this.#maps), this.#maps));
      }
    }
    const values = new Float32Array(rows.length * this.#maps);
    for (const [n, row] of rows.entries()) values.set(row, n * this.#maps);
    return { shape: [rows.length, this.#maps], values };
  }
}

/** Knows what a network was trained on by prototypes. */
export class Known {
  readonly #prototypes: Prototypes;

  constructor(prototypes: Prototypes) {
    this.#prototypes = prototypes;
  }

  /** 1 − the cosine of the angle to the nearest prototype: 0 for the same direction, 1 for nothing in common. */
  distance(row: Float32Array): number {
    const { shape: [rows, maps], values } = this.#prototypes; // prettier-ignore
    const features = unit(row, maps);
    let nearest = -1;
    for (let n = 0; n < rows; n++) {
      let cosine = 0;
      for (let i = 0; i < maps; i++) cosine += values[n * maps + i]! * features[i]!;
      nearest = Math.max(nearest, cosine);
    }
    return Math.max(0, 1 - nearest);
  }
}

/** Means over the places of each map, scaled to unit length. */
function unit(row: Float32Array | Float64Array, maps: number): Float64Array {
  const places = row.length / maps;
  const sums = new Float64Array(maps);
  for (const [i, value] of row.entries()) sums[Math.floor(i / places)]! += value;
  const length = Math.sqrt(sums.reduce((sum, value) => sum + value ** 2, 0));
  return length > 0 ? sums.map((sum) => sum / length) : sums;
}

/** What an image is compared with, and the distance beyond which it is unlike all of it. */
export interface Familiar {
  readonly known: Known;
  /** How many layers come before the features. */
  readonly count: number;
  readonly limit: number;
}

/** @returns undefined for a checkpoint that says nothing of it @throws CheckpointError when it doesn't fit the network */
export function familiarTo(
  { path, calibration, prototypes }: Checkpoint,
  layers: readonly PlacedLayer[],
): Familiar | undefined {
  if (!calibration) return undefined;
  const found = prototypes();
  const { count, maps } = featuresOf(layers);
  if (found.shape[1] !== maps) {
    throw new CheckpointError(`${path}: its prototypes have ${found.shape[1]} features, the network ${maps}`);
  }
  return { known: new Known(found), count, limit: calibration.limit };
}
