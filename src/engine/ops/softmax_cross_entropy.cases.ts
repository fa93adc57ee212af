/** Test cases of softmax and cross-entropy. */
import { cases, ELEMENT } from "../cases.ts";
import { crossEntropyBackward, crossEntropyForward, crossEntropyMean } from "./softmax_cross_entropy.ts";

export const softmaxCrossEntropyCases = cases(({ add, random, integers }) => {
  for (const [classes, images, valid, scale] of [
    [1, 1, 1, 1],
    [2, 3, 2, 1],
    [10, 65, 64, 200],
    [1000, 5, 5, 8],
  ] as const) {
    const size = classes * images;
    const labels = integers(images, classes);
    // Each value several times, to test the ranks of ties.
    const z = Float32Array.from(integers(size, 7), (v) => ((v - 3) / 3) * scale);
    const p = random(size).map((v) => Math.abs(v));
    // As in the paper, then with label smoothing and mixed images, a third of them mixed with one of the same class.
    for (const smoothing of [0, 0.1]) {
      const uniforms = { classes, images, valid, smoothing };
      const mixed = {
        others: smoothing === 0 ? labels : labels.map((label, n) => (n % 3 === 0 ? label : (label + n) % classes)),
        shares: random(images).map((v) => (smoothing === 0 ? NaN : Math.abs(v))),
      };
      add(crossEntropyForward, ELEMENT, uniforms, { z, labels, ...mixed, p: size, losses: images, ranks: images });
      add(crossEntropyBackward, ELEMENT, uniforms, { p, labels, ...mixed, dloss: Float32Array.of(0.7), dz: size });
    }
  }
  for (const [images, valid] of [
    [1, 1],
    [65, 64],
    [300, 256],
    [257, 3],
  ] as const) {
    const losses = random(images).map((v, n) => (n < valid ? Math.abs(v) : 0));
    add(crossEntropyMean, ELEMENT, { images, valid }, { losses, loss: 1 });
  }
});
