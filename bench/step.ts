/**
 * Images a second of whole training steps and of forward passes, on drawn pixels that are already in memory:
 *
 *   bun bench/step.ts MODEL [--batch 128] [--steps 8] [--device cpu] [--blas on|off] [--json FILE]
 *
 * Every step trains on the same batch, so its loss has to fall: that is checked before anything is reported. A step is
 * timed by the wall clock from handing over the pixels to having its losses; the first one, which allocates, is left out.
 */
import { parseArgs } from "node:util";
import { cpus } from "node:os";
import { centreView } from "../src/data/augmentation.ts";
import { replaceFile } from "../src/files.ts";
import { Model, place } from "../src/model/model.ts";
import { findNetwork } from "../src/model/networks.ts";
import { rateAt, freshSchedule } from "../src/optim/schedule.ts";
import { Sgd } from "../src/optim/sgd.ts";
import { Purpose, Random } from "../src/random.ts";
import { openDevice } from "../src/tasks/device.ts";
import { probabilities, trainingStep, uploadMean } from "../src/tasks/passes.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "128" },
    steps: { type: "string", default: "8" },
    device: { type: "string", default: "cpu" },
    blas: { type: "string" },
    json: { type: "string" },
  },
});
const network = findNetwork(positionals[0] ?? "small");
const [batch, steps] = [Number(values.batch), Number(values.steps)];
const device = await openDevice({ device: values.device, ...(values.blas && { blas: values.blas === "on" }) });
const model = new Model(network, device);
model.initialise(0);
const optimiser = new Sgd(model, network.recipe);
const { record, crop, recipe, classes } = network;
const random = new Random(0, Purpose.drawing);
const pixels = Uint8Array.from({ length: batch * record * record * 3 }, () => random.word() & 255);
const labels = Uint32Array.from({ length: batch }, (_, n) => n % classes);
const views = centreView(batch, record, crop);
const mean = uploadMean(device, record, new Float32Array(record * record * 3).fill(127.5));
const rateOf = (layer: string) => rateAt(recipe.schedule, freshSchedule(), 0, recipe.epochs, layer) / 10;

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const losses: number[] = [];
const training: number[] = [];
for (let step = 0; step <= steps; step++) {
  const ms = await time(async () => {
    const result = await trainingStep(model, optimiser, mean, {
      ...{ pixels, views, labels, valid: batch, step, seed: 0, rateOf },
    });
    losses.push(result.losses.reduce((sum, loss) => sum + loss, 0) / batch);
  });
  if (step > 0) training.push(ms);
}
const forward: number[] = [];
for (let pass = 0; pass <= steps; pass++) {
  const ms = await time(() => probabilities(model, mean, pixels, [views]));
  if (pass > 0) forward.push(ms);
}
const [first, last] = [losses[0]!, Math.min(...losses.slice(1))];
if (!(last < first)) throw new Error(`the loss did not fall: ${losses.join(", ")}`);

const median = (times: number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
const rates = (times: number[]) => ({
  best: (1000 * batch) / Math.min(...times),
  median: (1000 * batch) / median(times),
  count: times.length,
});
const multiplyAdds = place(network).reduce((sum, layer) => sum + layer.multiplyAdds, 0);
const result = {
  model: network.name,
  batch,
  device: device.description,
  processor: `${cpus().length} × ${cpus()[0]?.model}`,
  bun: Bun.version,
  commit: Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"]).stdout.toString().trim(),
  date: new Date().toISOString().slice(0, 10),
  trainImagesPerSecond: rates(training),
  forwardImagesPerSecond: rates(forward),
  forwardGflopPerImage: (2 * multiplyAdds) / 1e9,
  deviceBytes: device.statistics().bytes,
  residentBytes: process.memoryUsage().rss,
  losses: { first, last },
};
console.log(JSON.stringify(result, undefined, 2));
if (values.json) {
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  await replaceFile(values.json, (append) => append(new TextEncoder().encode(text)));
}
await device.close();
process.exit(0);
