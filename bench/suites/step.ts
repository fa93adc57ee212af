/** Whole training steps and forward passes by the wall clock, from passing the pixels to having the result. */
import type { Backend } from "../../src/engine/backend.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { checkFit } from "../../src/net/fit.ts";
import { Model } from "../../src/net/model.ts";
import type { Network } from "../../src/net/recipe.ts";
import { Sgd } from "../../src/net/sgd.ts";
import { trainingStep } from "../../src/training/step.ts";
import type { Entrant, Opened, Piece } from "../bench.ts";
import { WrongResult } from "../check.ts";
import type { BenchDevice } from "../devices.ts";
import { drawnInput, drawWeights, release, slowRate } from "../drawn.ts";
import { wallClock } from "../measure.ts";
import type { Suite } from "./suite.ts";

export const step: Suite = {
  name: "step",
  about: "whole training steps and forward passes of a network, images per second",
  async run(bench, { network, batches }) {
    for (const images of batches) {
      for (const work of ["training", "forward"] as const)
        await bench.contest(piece(network, work, images, bench.devices));
    }
  },
};

/** Batch sizes of trials, to estimate the time of a larger batch. */
export const TRIALS = [1, 4];

type WorkName = "training" | "forward";

function piece(network: Network, work: WorkName, images: number, devices: readonly BenchDevice[]): Piece {
  const agreement = new Agreement();
  const entrants = devices.map((device): Entrant => {
    const open = async (count: number, agree: Agreement) => {
      const { backend } = device;
      const kind = work === "training" ? "training" : "evaluating";
      checkFit({ network, classes: network.classes, kind }, count, backend);
      return work === "training"
        ? openTraining(network, backend, count, agree)
        : openForward(network, backend, count, agree);
    };
    return {
      ...{ contestant: "alexnet.ts", device, clock: "wall" },
      open: () => open(images, agreement),
      trials: TRIALS.filter((count) => count < images).map((count) => ({
        work: { unit: "image", amount: count },
        open: () => open(count, new Agreement()),
      })),
    };
  });
  const name = `${network.name} ${work}, batch ${images}`;
  return { suite: "step", name, work: { unit: "image", amount: images }, entrants };
}

/** Checks that different devices compute the same from the same weights and images, up to rounding. */
class Agreement {
  #first: ArrayLike<number> | undefined;

  /** @throws WrongResult */
  check(values: ArrayLike<number>, tolerance: number): void {
    this.#first ??= values;
    for (let i = 0; i < values.length; i++) {
      const [found, expected] = [values[i]!, this.#first[i]!];
      if (Math.abs(found - expected) <= tolerance * Math.abs(expected)) continue;
      throw new WrongResult(`number ${i} is ${found}, on the first device ${expected}`);
    }
  }
}

function openTraining(network: Network, backend: Backend, images: number, agreement: Agreement): Opened {
  const model = new Model(network, backend);
  drawWeights(model);
  const optimiser = new Sgd(model, network.recipe);
  const { pixels, labels, views, mean } = drawnInput(network, backend, images);
  const losses: number[] = [];
  const once = async () => {
    // Always step 0: with the same dropout masks the loss must fall, however small the batch.
    const batch = { pixels, views, labels, valid: images, step: 0, seed: 0, rateOf: slowRate(network) };
    const result = await trainingStep(model, optimiser, mean, batch);
    losses.push(result.losses.reduce((sum, loss) => sum + loss, 0) / images);
  };
  return {
    run: wallClock(once),
    async check() {
      await once();
      agreement.check(losses, 1e-3);
      return "the loss falls from step to step on one batch, and starts the same on every device";
    },
    async confirm() {
      const [first, ...rest] = losses;
      if (!(Math.min(...rest) < first!)) throw new WrongResult(`the loss did not fall: ${losses.join(", ")}`);
    },
    async close() {
      optimiser.free();
      release(model, mean);
    },
  };
}

function openForward(network: Network, backend: Backend, images: number, agreement: Agreement): Opened {
  const model = new Model(network, backend);
  drawWeights(model);
  const { pixels, views, mean } = drawnInput(network, backend, images);
  const once = () => probabilities(model, mean, pixels, [views]);
  return {
    run: wallClock(once),
    async check() {
      const p = await once();
      const sum = p.reduce((total, value) => total + value, 0);
      if (!(Math.abs(sum / images - 1) < 1e-6))
        throw new WrongResult(`the probabilities of an image sum to ${sum / images}`);
      agreement.check(p, 1e-2);
      return "probabilities that sum to 1, the same on every device";
    },
    close: async () => release(model, mean),
  };
}
