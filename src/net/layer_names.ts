/** Layers as a user names them: conv1,fc*. */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { layerOf, leaves, place } from "./model.ts";
import type { Network } from "./recipe.ts";

/** A network's layers that learn, by name, the last one last. */
export function learningLayers(network: Network): string[] {
  const names = leaves(place(network)).flatMap(({ parameters }) => parameters.map(({ name }) => layerOf(name)));
  return [...new Set(names)];
}

/**
 * The layers that patterns name, as in "conv1,fc*".
 * @throws UsageError for a pattern that names none
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
 * Multiples of the learning rate by layer, as in "conv*=0.1,fc8=10"; of two for one layer the later counts.
 * @throws UsageError for what is no number from 0 on, or names no layer
 */
export function ratesNamed(option: string, text: string, network: Network): Record<string, number> {
  const rates: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [pattern = "", value = ""] = part.split("=");
    const rate = value.trim() === "" ? NaN : Number(value);
    if (!(rate >= 0 && rate < Infinity)) {
      throw new UsageError(`${option} ${text}: "${part}" must be a layer and a number from 0 on, as in fc8=10`);
    }
    for (const layer of layersNamed(option, pattern, network)) rates[layer] = rate;
  }
  return rates;
}
