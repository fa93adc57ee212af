/** Random pixels and weights for whole networks: their values don't change how long a step takes. */
import { centreView } from "../src/data/augmentation.ts";
import type { Backend } from "../src/engine/backend.ts";
import { poolOf } from "../src/engine/pool.ts";
import type { Tensor } from "../src/engine/tensor.ts";
import type { Model } from "../src/net/model.ts";
import { uploadMean } from "../src/net/passes.ts";
import type { Network } from "../src/net/recipe.ts";
import { freshSchedule, rateAt } from "../src/net/schedule.ts";
import { bytes, numbers } from "./data.ts";

/** A batch of noise with centre crops, and a grey mean image. */
export function drawnInput({ record, crop, classes }: Network, backend: Backend, images: number) {
  return {
    pixels: bytes(images * record * record * 3, 1),
    labels: Uint32Array.from({ length: images }, (_, n) => n % classes),
    views: centreView(images, record, crop),
    mean: uploadMean(backend, record, new Float32Array(record * record * 3).fill(127.5)),
  };
}

/** Initial weights, but uniformly distributed, which is ten times faster to draw; and initial statistics. */
export function drawWeights({ parameters, specs, state }: Model): void {
  parameters.forEach(({ backend, buffer, size }, i) => {
    const { initial } = specs[i]!;
    if ("constant" in initial) return backend.write(buffer, new Float32Array(size).fill(initial.constant));
    const bound = "normal" in initial ? Math.sqrt(3) * initial.normal : initial.uniform;
    backend.write(buffer, numbers(size, i + 1, bound));
  });
  for (const statistic of state) statistic.reset();
}

/** A tenth of the recipe's rate, so that the loss falls from the first step. */
export function slowRate({ recipe }: Network): (layer: string) => number {
  return (layer) => rateAt(recipe.schedule, freshSchedule(), 0, recipe.epochs, layer) / 10;
}

/** Frees all memory, including that of the steps. */
export function release(model: Model, mean: Tensor): void {
  const { backend } = mean;
  model.free();
  backend.free(mean.detach()!);
  poolOf(backend).trim();
}
