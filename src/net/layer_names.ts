/** Layers as users name them, with wildcards: conv1,fc*. */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { layerOf, leaves, place } from "./model.ts";
import type { Network } from "./recipe.ts";

/** The names of a network's layers that have parameters, in order. */
export function learningLayers(network: Network): string[] {
  const names = leaves(place(network)).flatMap(({ parameters }) => parameters.map(({ name }) => layerOf(name)));
  return [...new Set(names)];
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

function matches(layer: string, pattern: string): boolean {
  const [start = "", end] = pattern.split(/\*(.*)/s);
  return end === undefined ? layer === pattern : layer.startsWith(start) && layer.endsWith(end);
}

/**
 * Multiples of the learning rate by layer, as in "conv*=0.1,fc8=10"; the last one given for a layer counts.
 * @throws UsageError for a rate that is not a number ≥ 0, or a pattern that matches no layer
 */
export function ratesNamed(option: string, text: string, network: Network): Record<string, number> {
  const rates: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [pattern = "", value = ""] = part.split("=");
    const rate = value.trim() === "" ? NaN : Number(value);
    if (!(rate >= 0 && rate < Infinity)) {
      throw new UsageError(`${option} ${text}: "${part}" must be a layer and a number of at least 0, as in fc8=10`);
    }
    for (const layer of layersNamed(option, pattern, network)) rates[layer] = rate;
  }
  return rates;
}
