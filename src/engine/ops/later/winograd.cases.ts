/** Test cases of Winograd's transforms. */
import { cases, ELEMENT, SUM } from "../../cases.ts";
import {
  winograd3Gradients,
  winograd3Input,
  winograd3Output,
  winograd3Weights,
  winograd3Windows,
  winograd5Gradients,
  winograd5Input,
  winograd5Output,
  winograd5Weights,
  winograd5Windows,
} from "./winograd_transforms.ts";

export const winogradCases = cases(({ add, random }) => {
  for (const [window, input, weights, output, ofDy, windows] of [
    [3, winograd3Input, winograd3Weights, winograd3Output, winograd3Gradients, winograd3Windows],
    [5, winograd5Input, winograd5Weights, winograd5Output, winograd5Gradients, winograd5Windows],
  ] as const) {
    const positions = (window + 3) ** 2;
    for (const [images, maps, h, w, pad, groups, other, activation] of [
      [1, 1, 1, 1, window >> 1, 1, 1, 0],
      [3, 4, 7, 10, 0, 2, 3, 1],
      [65, 2, 4, 5, 2, 1, 5, 2],
    ] as const) {
      const [oh, ow] = [h + 2 * pad - window + 1, w + 2 * pad - window + 1];
      const [th, tw] = [Math.ceil(oh / 4), Math.ceil(ow / 4)];
      const [outputs, size] = [maps * oh * ow * images, maps * th * tw * images];
      const x = random(maps * h * w * images);
      add(input, SUM, { images, c: maps, h, w, pad, th, tw }, { x, patches: positions * size });
      add(ofDy, ELEMENT, { images, o: maps, oh, ow, th, tw }, { dy: random(outputs), gradients: positions * size });
      for (const biased of [0, 1]) {
        const given = { products: random(positions * size), s: random(maps), b: random(maps), y: outputs };
        add(output, SUM, { images, o: maps, oh, ow, th, tw, biased, scaled: biased, activation }, given);
      }
      const count = maps * other;
      for (const turned of [0, 1]) {
        const given = { w: random(window ** 2 * count), filters: positions * count };
        add(weights, ELEMENT, { groups, terms: maps / groups, rows: other, turned }, given);
      }
      add(windows, SUM, { size: count }, { products: random(positions * count), dw: window ** 2 * count });
    }
  }
});
