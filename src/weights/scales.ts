/**
 * Scales of batch normalisations that learn only a shift. PyTorch's `BatchNorm2d` can't do without: it stores them, as
 * ones, and `load_state_dict` demands them.
 */
import { size } from "../engine/tensor.ts";
import { leaves, type PlacedLayer } from "../net/model.ts";
import type { TensorSource } from "./safetensors.ts";

/** The names of the scales, by those of the shifts. */
export function unlearntScales(layers: readonly PlacedLayer[]): ReadonlyMap<string, string> {
  const norms = leaves(layers).filter(({ layer }) => layer.kind === "batch-norm" && layer.options.learns === "shift");
  return new Map(norms.map(({ layer: { name } }) => [`${name}.bias`, `${name}.weight`]));
}

/** Adds the scales, each before its shift. */
export function withScales(tensors: readonly TensorSource[], layers: readonly PlacedLayer[]): TensorSource[] {
  const scales = unlearntScales(layers);
  return tensors.flatMap((tensor) => {
    const { name, shape } = tensor;
    const scale = scales.get(name);
    if (scale === undefined) return [tensor];
    return [{ name: scale, shape, read: async () => new Float32Array(size(shape)).fill(1) }, tensor];
  });
}
