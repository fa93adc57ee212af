/** What the files of layers share. */
import type { Layer } from "../layer.ts";

/** From a layer's options, name and branches, as JSON has them, to the layer. What they are worth is not known yet. */
export type Kinds = Readonly<Record<string, (made: never) => Layer>>;

/** What a layer with these options is made of, where `K` are numbers that the function takes by position. */
export type Made<Options, K extends string = never> = Options & { readonly name: string } & Readonly<Record<K, number>>;

/** Groups that are shared out evenly are divided among the devices; what is not divided stays so. */
export function groupsOfPart(groups: number, of: number): number {
  return groups % of === 0 ? groups / of : 1;
}

/** The settings that differ from what is usual: ", stride 4". */
export function unusual(settings: Readonly<Record<string, readonly [value: number, usual: number]>>): string {
  return Object.entries(settings)
    .filter(([, [value, usual]]) => value !== usual)
    .map(([name, [value]]) => `, ${name} ${value}`)
    .join("");
}
