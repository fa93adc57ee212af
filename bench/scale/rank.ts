/**
 * One of the ranks timed by `bench scale`; the argument is a `Job` as JSON. Rank 0 prints the measurements. Results are
 * checked: the sums must be as expected, and after the steps all ranks must have the same weights.
 */
import { openDeviceOf, type DeviceOptions } from "../../src/devices/open.ts";
import { AlexNetError } from "../../src/errors.ts";
import { Model } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { Sgd } from "../../src/net/sgd.ts";
import { areAlike } from "../../src/ranks/agreement.ts";
import { Gradients } from "../../src/ranks/gradients.ts";
import { openRanks } from "../../src/ranks/ranks.ts";
import { sharedStep } from "../../src/ranks/shared_step.ts";
import { trainingStep } from "../../src/training/step.ts";
import { drawnInput, drawWeights, slowRate } from "../drawn.ts";

/** The job of each rank. */
export interface Job {
  readonly network: string;
  /** Images per rank. */
  readonly images: number;
  /** Number of measurements of each kind. */
  readonly times: number;
  readonly device: DeviceOptions;
}

/** What rank 0 prints. With a single rank, only the first time is meaningful. */
export interface Measured {
  readonly computeSeconds: readonly number[];
  readonly exchangeSeconds: readonly number[];
  readonly stepSeconds: readonly number[];
  readonly sentBytes: number;
  readonly gradientBytes: number;
  readonly device: string;
  readonly mpi: string | null;
}

const { network: name, images, times, device } = JSON.parse(process.argv[2]!) as Job;
const ranks = await openRanks();
const { rank, size } = ranks;
const backend = await openDeviceOf(device, ranks);
const network = findNetwork(name);
const model = new Model(network, backend);
drawWeights(model);
const sgd = new Sgd(model, network.recipe);
const { pixels, labels, views, mean } = drawnInput(network, backend, images);
// Each rank has different images.
for (const [i, value] of pixels.entries()) pixels[i] = value ^ rank;
const step = { pixels, views, labels, valid: images, step: 0, seed: 0, rateOf: slowRate(network) };

/** All ranks begin at once; the first run is a warm-up. @returns seconds of the slowest rank */
async function time(work: () => Promise<unknown>): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i <= times; i++) {
    await ranks.gather(new Uint8Array(1));
    const start = performance.now();
    await work();
    const own = Float64Array.of((performance.now() - start) / 1000);
    const all = (await ranks.gather(new Uint8Array(own.buffer))).map(
      (bytes) => new Float64Array(bytes.slice().buffer)[0]!,
    );
    if (i > 0) seconds.push(Math.max(...all));
  }
  return seconds;
}

const computeSeconds = await time(() => trainingStep(model, sgd, mean, step));
const [exchangeSeconds, stepSeconds]: [number[], number[]] = [[], []];
let sentBytes = 0;
if (size > 1) {
  // Made-up gradients: all are 1 + rank.
  for (const parameter of model.parameters) {
    parameter.grad = parameter.gradientStorage();
    backend.write(parameter.grad.buffer, new Float32Array(parameter.size).fill(1 + rank));
  }
  const exchange = async () => {
    const gradients = new Gradients(ranks, backend);
    for (const parameter of model.parameters.toReversed()) gradients.add(parameter);
    await gradients.done();
  };
  await exchange();
  const [first] = (await model.parameters[0]!.grad!.read()) as Float32Array;
  if (first !== (size * (size + 1)) / 2) throw new AlexNetError(`the sum over ${size} ranks is ${first}`);
  exchangeSeconds.push(...(await time(exchange)));
  for (const parameter of model.parameters) parameter.grad = undefined;
  // So far each rank stepped by itself; from here on all must stay the same.
  drawWeights(model);
  for (const { buffer, size: count } of sgd.velocities) backend.write(buffer, new Float32Array(count));
  const shared = {
    ...step,
    share: { first: rank * images, count: images },
    whole: { images: size * images, valid: size * images },
    stop: false,
  };
  const before = ranks.sentBytes;
  stepSeconds.push(
    ...(await time(async () => {
      const { result } = await sharedStep(model, sgd, mean, shared, ranks);
      const { losses } = await result;
      if (!losses.every(Number.isFinite)) throw new AlexNetError("a loss is not finite");
      await backend.synchronize();
    })),
  );
  sentBytes = (ranks.sentBytes - before) / (times + 1);
  if (!(await areAlike(ranks, model.parameters))) throw new AlexNetError("the ranks have different weights");
}
const measured: Measured = {
  ...{ computeSeconds, exchangeSeconds, stepSeconds, sentBytes },
  gradientBytes: 4 * model.parameters.reduce((sum, parameter) => sum + parameter.size, 0),
  device: backend.description,
  mpi: ranks.mpi ?? null,
};
if (rank === 0) console.log(JSON.stringify(measured));
await backend.close();
await ranks.close();
process.exit(0);
