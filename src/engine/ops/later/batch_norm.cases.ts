/** Cases of the kernels for batch normalisation. */
import { cases, ELEMENT, SUM } from "../../cases.ts";
import { batchNormBackward, batchNormFold, batchNormForward } from "./batch_norm.ts";
import { batchNormCombine, batchNormGradients, batchNormStatistics } from "./batch_norm_sums.ts";

const SIZES = [
  [1, 2],
  [7, 61],
  [3, 1009],
  [2, 40_003],
  [4, 372],
  [5, 1028],
  [2, 516],
] as const;

export const batchNormCases = cases(({ add, random, positive }) => {
  for (const [i, [maps, plane]] of SIZES.entries()) {
    const size = maps * plane;
    const sizes = { maps, plane, activation: i % 3 };
    // Means far from zero, beside which the deviations are small.
    const x = () => random(size).map((v, i) => v + 3 * (i % 2));
    const ofMaps = () => random(maps);
    for (const training of [0, 1]) {
      const running = { mean: ofMaps(), variance: positive(maps) };
      add(
        batchNormStatistics,
        SUM,
        { maps, plane, training, momentum: 0.1, epsilon: 1e-5 },
        { x: x(), ...running, stats: 2 * maps },
      );
      const sums = { dw: ofMaps(), db: ofMaps() };
      const given = { x: x(), w: ofMaps(), b: ofMaps(), stats: positive(2 * maps), ...sums, dy: random(size) };
      add(batchNormBackward, ELEMENT, { ...sizes, training }, { ...given, dx: size });
    }
    const stats = positive(2 * maps);
    add(batchNormForward, ELEMENT, sizes, { x: x(), w: ofMaps(), b: ofMaps(), stats, y: size });
    const given = { x: x(), w: ofMaps(), b: ofMaps(), stats };
    for (const splits of [1, 2, 3]) {
      if (plane % splits !== 0) continue;
      const results = { dw: splits * maps, db: splits * maps };
      add(batchNormGradients, SUM, { ...sizes, splits }, { ...given, dy: random(size), ...results });
    }
  }
  for (const [maps, cuts] of [
    [1, 1],
    [67, 3],
    [130, 11],
  ] as const) {
    const parts = Float32Array.of(...random(maps * cuts, 3), ...positive(maps * cuts));
    const sizes = { maps, cuts, plane: 5 * cuts, momentum: 0.1, epsilon: 1e-5 };
    const running = { mean: random(maps), variance: positive(maps) };
    add(batchNormCombine, ELEMENT, sizes, { parts, ...running, stats: 2 * maps });
  }
  const [maps, variance] = [67, positive(67)];
  const given = { w: random(maps), b: random(maps), mean: random(maps), variance, bias: random(maps) };
  add(batchNormFold, ELEMENT, { size: maps, epsilon: 1e-5 }, { ...given, s: maps, t: maps });
});
