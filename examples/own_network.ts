/** A network of one's own, on images that come from anywhere: here, lines that run across or down. */
import { datasetOf, layers, train, type LabelledImage } from "alexnet";

const { conv, fc, maxPool, relu } = layers;
const SIDE = 16;

async function* lines(count: number): AsyncGenerator<LabelledImage> {
  for (let n = 0; n < count; n++) {
    const [label, at] = [n % 2, (3 * n) % SIDE];
    const isLine = (_: unknown, i: number) => (label ? i % SIDE : Math.floor(i / SIDE)) === at;
    const bright = Array.from({ length: SIDE * SIDE }, isLine); // row by row
    const pixels = Uint8Array.from(bright.flatMap((is) => (is ? [255, 200, 0] : [0, 0, 40]))); // red, green, blue
    yield { pixels, width: SIDE, height: SIDE, label };
  }
}

const { run, best } = await train({
  data: await datasetOf(lines(400), { name: "lines", classes: ["across", "down"] }),
  holdOut: 0.25,
  model: {
    crop: SIDE,
    layers: (classes) => [
      conv("conv1", 8, 3, { sigma: 0.1, pad: 1 }),
      relu(),
      maxPool(2, 2),
      fc("fc2", classes, { sigma: 0.01 }),
    ],
  },
  epochs: 5,
});
console.log(`${100 * (1 - best!.val.top1)}% of the lines held out are right; the weights are in ${run}`);
