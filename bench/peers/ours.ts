/**
 * This project as a contestant: `bun bench/peers/ours.ts JOB [--no-blas]`. Steps use the same functions as training, so
 * uploading pixels, augmentation and reading back losses are included in the times.
 */
import { centreView } from "../../src/data/augmentation.ts";
import { openDevice } from "../../src/devices/open.ts";
import type { Backend, Buffer, HostArray } from "../../src/engine/backend.ts";
import { linear } from "../../src/engine/ops/linear.ts";
import { Tape } from "../../src/engine/tape.ts";
import { size, Tensor } from "../../src/engine/tensor.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { leaves, Model, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { uploadMean } from "../../src/net/passes.ts";
import { Sgd } from "../../src/net/sgd.ts";
import { trainingStep } from "../../src/training/step.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { answer, logitsError, measure, productError, readJob, readTensors, uniform } from "./contestant.ts";
import { OURS } from "./contestants.ts";
import { drawPixels } from "./fixtures.ts";
import type { Job, MatmulJob, Measured, StepJob } from "./job.ts";

const blas = !process.argv.includes("--no-blas");
answer(OURS, await results(readJob()));

async function results(job: Job): Promise<Measured[]> {
  if (job.task === "parameters") {
    return job.models.map((name) => {
      const shapes = leaves(place(findNetwork(name))).flatMap(({ parameters }) => parameters.map(({ shape }) => shape));
      return { name, samples: [], parameters: shapes.reduce((sum, shape) => sum + size(shape), 0) };
    });
  }
  if (job.task === "photos") throw new Error("photos are for ours_photos.ts");
  const device = await openDevice(
    job.device === "cpu" ? { device: "cpu", threads: job.threads, blas } : { device: "gpu" },
  );
  try {
    return job.task === "matmul" ? await matmul(job, device) : await step(job, device);
  } finally {
    await device.close();
  }
}

/** Uses `linear`, a matrix product plus a bias, here with a bias of zeros. */
async function matmul({ sizes, seconds }: MatmulJob, device: Backend): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const side of sizes) {
    const [a, b] = [uniform(side * side), uniform(side * side)];
    const [w, x, zero] = [a, b, new Float32Array(side)].map((values) => {
      const buffer = device.allocate("f32", values.length);
      device.write(buffer, values);
      return buffer;
    });
    let product: HostArray = new Float32Array();
    const run = async (read = false) => {
      const tape = new Tape(device, { record: false });
      const tensor = (shape: readonly number[], buffer: Buffer) => new Tensor(device, shape, buffer, tape);
      const y = linear(tensor([side, side], x!), tensor([side, side], w!), tensor([side], zero!));
      await device.synchronize();
      if (read) product = await y.read();
      tape.release();
    };
    const samples = await measure(() => run(), seconds);
    await run(true);
    results.push({ name: String(side), samples, error: productError(a, b, product as Float32Array, side) });
    for (const buffer of [w!, x!, zero!]) device.free(buffer);
  }
  return results;
}

/** Forward first: training changes the weights. */
async function step(job: StepJob, device: Backend): Promise<Measured[]> {
  const network = findNetwork(job.model);
  const { record, crop, recipe, classes } = network;
  const { batch } = job;
  const model = new Model(network, device);
  const checkpoint = openCheckpoint(job.weights);
  checkpoint.loadInto(model);
  const mean = uploadMean(device, record, checkpoint.mean);
  checkpoint.close();
  const pixels = drawPixels(record, batch);
  const views = centreView(batch, record, crop);

  let p: Float64Array = new Float64Array();
  const forward = await measure(async () => void (p = await probabilities(model, mean, pixels, [views])), job.seconds);
  const error = softmaxError(p, readTensors(job.check).get("logits")!.data, classes, batch);

  const optimiser = new Sgd(model, { ...recipe, momentum: job.momentum, decay: job.decay });
  const labels = Uint32Array.from({ length: batch }, (_, n) => n % classes);
  const losses: number[] = [];
  const training = await measure(async () => {
    const result = await trainingStep(model, optimiser, mean, {
      ...{ pixels, views, labels, valid: batch, step: 0, seed: 0, rateOf: () => job.rate },
    });
    losses.push(result.losses.reduce((sum, loss) => sum + loss, 0) / batch);
  }, job.seconds);
  return [
    { name: "training", samples: training, losses },
    { name: "forward", samples: forward, error },
  ];
}

/**
 * `probabilities` returns only the softmax. Its logarithms are the logits up to a constant per image, so both sides are
 * compared after subtracting each image's mean.
 */
function softmaxError(p: Float64Array, logits: Float32Array, classes: number, batch: number): number {
  const got = Float64Array.from(logits, (_, i) => Math.log(p[(i % classes) * batch + Math.floor(i / classes)]!));
  return logitsError(centred(got, classes), centred(logits, classes));
}

function centred(values: Float32Array | Float64Array, classes: number): Float64Array {
  const means = Array.from({ length: values.length / classes }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += values[n * classes + k]!;
    return sum / classes;
  });
  return Float64Array.from(values, (value, i) => value - means[Math.floor(i / classes)]!);
}
