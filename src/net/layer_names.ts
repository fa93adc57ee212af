/** Layers as users name them, with wildcards: conv1,fc*. */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import type { ParameterSpec } from "./layer.ts";
import { layerOf, leaves, place } from "./model.ts";
import type { Network } from "./recipe.ts";

/** The names of a network's layers that have parameters, in order. */
export function learningLayers(network: Network): string[] {
  return [...new Set(specsOf(network).map(({ name }) => layerOf(name)))];
}

/** What its layers learn, in order. */
export function specsOf(network: Network): readonly ParameterSpec[] {
  return leaves(place(network)).flatMap(({ parameters }) => parameters);
}

/**
 * The layers that match any of the patterns, as in "conv1,fc*".
 * @throws UsageError for a pattern that matches none
 */
export function layersNamed(option: string, patterns: string, network: Network): string[] {
  const layers = learningLayers(network);
  const named = patterns.split(",").flatMap((pattern) => {
    const found = layers.filter((layer) => matches(layer, pattern.trim()));
    if (found.length > 0) return found;
    throw new UsageError(
      `${option} ${patterns}: ${network.name} has no layer "${pattern}"${suggest(pattern, layers)}; ` +
        `those that learn are ${layers.join(", ")}`,
    );
  });
  return layers.filter((layer) => named.includes(layer));
}

/** Whether a name is that of a pattern such as "conv*". */
export function matches(name: string, pattern: string): boolean {
  const [start = "", end] = pattern.split(/\*(.*)/s);
  return end === undefined ? name === pattern : name.startsWith(start) && name.endsWith(end);
}
