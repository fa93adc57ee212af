/**
 * One of the ranks that `bench scale` times; the argument is a `Job` as JSON. Rank 0 prints what was measured. Right before
 * fast: the sums are compared with what they must be, and after the steps all ranks must have the same weights.
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

/** What each rank is told. */
export interface Job {
  readonly network: string;
  /** That each rank has of a batch. */
  readonly images: number;
  /** Of each kind so many are measured. */
  readonly times: number;
  readonly device: DeviceOptions;
}

/** What rank 0 prints; of one rank the first time alone says something. */
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
// Each rank has other images.
for (const [i, value] of pixels.entries()) pixels[i] = value ^ rank;
const step = { pixels, views, labels, valid: images, step: 0, seed: 0, rateOf: slowRate(network) };

/** All begin at once. The first time is a warm-up. @returns seconds, of the slowest rank */
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
  // Gradients that nothing computed: all of them 1 + rank.
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
  // The first steps were each rank's own; from here on all must stay alike.
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
      if (!losses.every(Number.isFinite)) throw new AlexNetError("a loss is no number");
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
