/** A network of one's own, on images that come from anywhere: here, red lines that run across or down. */
import { datasetOf, layers, train, type LabelledImage } from "alexnet";

async function* lines(count: number): AsyncGenerator<LabelledImage> {
  for (let n = 0; n < count; n++) {
    const pixels = new Uint8Array(16 * 16 * 3); // row by row; of each pixel red, green and blue
    const [label, at] = [n % 2, (n >> 1) % 16];
    for (let i = 0; i < 16; i++) pixels[3 * (label === 0 ? 16 * at + i : 16 * i + at)] = 255;
    yield { pixels, width: 16, height: 16, label };
  }
}

const { conv, fc, maxPool, relu } = layers;
const block = [conv("conv1", 8, 3, { sigma: 0.05, pad: 1 }), relu(), maxPool(2, 2)];
const { run, best } = await train({
  data: await datasetOf(lines(400), { name: "lines", classes: ["across", "down"] }), // the mean is measured
  model: { crop: 16, layers: (classes) => [block, fc("fc2", classes, { sigma: 0.01 })] },
  ...{ holdOut: 0.25, epochs: 5, batch: 20, rate: 0.005 },
});
console.log(`${Math.round(100 * (1 - best!.val.top1))}% of the lines held out are right; the weights are in ${run}`);
