/**
 * Batch normalisation where several devices share a step, each with some of the images: statistics of the whole batch,
 * from sums over all devices. Each device has P numbers of a map with mean m and variance v; all of them have
 *
 *   N = Σ P,  M = Σ P·m / N,  V = Σ P·(v + m²) / N − M²
 *
 * The sums are in float64, so that the difference of squares loses nothing that float32 had.
 */
import type { AllReduce, Tensor } from "../../tensor.ts";
import { axpby } from "./axpby.ts";

/** ε of a device's own statistics: none, but 1 / 0 is not to be computed on a GPU. */
export const NO_EPSILON = 1e-30;

/**
 * Replaces statistics of a device's own images by those of all: mean and 1 / √(v + ε) of each map, 2 × maps, with
 * `NO_EPSILON` before and `epsilon` after. Moves the running mean and variance.
 * @param plane how many numbers of a map the device has
 * @returns what part they are of a map's numbers on all devices
 */
export function shareStatistics(
  allReduce: AllReduce,
  stats: Tensor,
  plane: number,
  running: { readonly mean: Tensor; readonly variance: Tensor },
  { momentum, epsilon }: { readonly momentum: number; readonly epsilon: number },
): number {
  const { backend, size, tape } = stats;
  const maps = size / 2;
  const own = backend.readNow(stats.buffer);
  const sums = new Float64Array(size + 1);
  for (let map = 0; map < maps; map++) {
    const m = own[map]!;
    sums[map] = plane * m;
    sums[maps + map] = plane * (own[maps + map]! ** -2 + m ** 2);
  }
  sums[size] = plane;
  allReduce(sums);
  const all = sums[size]!;
  const [means, variances] = [new Float32Array(maps), new Float32Array(maps)];
  for (let map = 0; map < maps; map++) {
    const m = sums[map]! / all;
    // Rounding may take zero below it. NaN stays NaN.
    const v = Math.max(0, sums[maps + map]! / all - m ** 2);
    means[map] = own[map] = m;
    own[maps + map] = 1 / Math.sqrt(v + epsilon);
    variances[map] = (v * all) / (all - 1);
  }
  backend.write(stats.buffer, own);
  axpby(momentum, tape!.input([maps], means), 1 - momentum, running.mean);
  axpby(momentum, tape!.input([maps], variances), 1 - momentum, running.variance);
  return plane / all;
}

/**
 * Replaces a device's sums by those of all, times `part`: where a device then divides them by the numbers that it has,
 * it divides them by those of all.
 */
export function shareSums(allReduce: AllReduce, part: number, sums: readonly Tensor[]): void {
  const { backend, size } = sums[0]!;
  const own = sums.map(({ buffer }) => backend.readNow(buffer));
  const all = Float64Array.from(own.flatMap((values) => [...values]));
  allReduce(all);
  for (const [i, { buffer }] of sums.entries()) {
    backend.write(
      buffer,
      own[i]!.map((_, map) => part * all[i * size + map]!),
    );
  }
}
