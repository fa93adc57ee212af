/** Cases of the kernels for batch normalisation. */
import { cases, ELEMENT, SUM } from "../../cases.ts";
import {
  batchNormBackward,
  batchNormFold,
  batchNormForward,
  batchNormGradients,
  batchNormStatistics,
} from "./batch_norm.ts";

const SIZES = [
  [1, 2],
  [7, 61],
  [3, 1009],
  [2, 40_003],
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
    add(batchNormGradients, SUM, sizes, { ...given, dy: random(size), dw: maps, db: maps });
  }
  const [maps, variance] = [67, positive(67)];
  const given = { w: random(maps), b: random(maps), mean: random(maps), variance, bias: random(maps) };
  add(batchNormFold, ELEMENT, { size: maps, epsilon: 1e-5 }, { ...given, s: maps, t: maps });
});
