/** What the files of layers have in common. */
import type { Layer } from "../layer.ts";

/** Makes layers from their name, options and branches in JSON, which are not yet checked. */
export type Kinds = Readonly<Record<string, (made: never) => Layer>>;

/** A layer's JSON: its options, its name, and the numbers `K` that the function takes as positional arguments. */
export type Made<Options, K extends string = never> = Options & { readonly name: string } & Readonly<Record<K, number>>;

/** The groups of one device's part: an equal share of them, or 1 if they don't divide equally. */
export function groupsOfPart(groups: number, of: number): number {
  return groups % of === 0 ? groups / of : 1;
}

/** The settings that differ from their defaults, as in ", stride 4". */
export function nonDefault(
  settings: Readonly<Record<string, readonly [value: string | number, byDefault: number]>>,
): string {
  return Object.entries(settings)
    .filter(([, [value, byDefault]]) => value !== byDefault)
    .map(([name, [value]]) => `, ${name} ${value}`)
    .join("");
}
