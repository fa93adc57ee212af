/** Test cases of the weighted cross-entropy. */
import { cases, ELEMENT } from "../../cases.ts";
import { weightedBackward, weightedForward } from "./weighted_cross_entropy.ts";

export const weightedCrossEntropyCases = cases(({ add, random, integers }) => {
  for (const [classes, images, valid] of [
    [1, 1, 1],
    [2, 3, 2],
    [10, 65, 64],
    [1000, 5, 5],
  ] as const) {
    const size = classes * images;
    const labels = integers(images, classes);
    const positive = (count: number) => random(count).map((v) => Math.abs(v));
    const [z, p, w] = [random(size), positive(size), positive(classes)];
    for (const smoothing of [0, 0.1]) {
      const uniforms = { classes, images, valid, smoothing };
      const mixed = {
        others: smoothing === 0 ? labels : labels.map((label, n) => (n % 3 === 0 ? label : (label + n) % classes)),
        shares: random(images).map((v) => (smoothing === 0 ? NaN : Math.abs(v))),
      };
      const losses = positive(images);
      add(weightedForward, ELEMENT, uniforms, { z, labels, ...mixed, w, losses, sums: images });
      const sums = positive(images);
      add(weightedBackward, ELEMENT, uniforms, {
        ...{ p, labels, ...mixed, w, sums, dloss: Float32Array.of(0.7), dz: size },
      });
    }
  }
});
