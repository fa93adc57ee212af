/** A whole training step, layer by layer: each layer's forward and backward time and its share. */
import { size } from "../../src/engine/tensor.ts";
import { AlexNetError } from "../../src/errors.ts";
import { checkFit } from "../../src/net/fit.ts";
import { leaves, place } from "../../src/net/model.ts";
import type { Network } from "../../src/net/recipe.ts";
import { extrapolate, type Bench } from "../bench.ts";
import { WrongResult } from "../check.ts";
import type { BenchDevice } from "../devices.ts";
import { labelOf, namedLayers, workOf } from "../layer_piece.ts";
import { LayeredSteps } from "../layered_steps.ts";
import { rate, times, type Work } from "../results.ts";
import { TRIALS } from "./step.ts";
import type { Suite } from "./suite.ts";

export const layers: Suite = {
  name: "layers",
  about: "a training step layer by layer, forward and backward, with shares of the whole",
  async run(bench, { network, batches }) {
    for (const images of batches) {
      for (const device of bench.devices) await measure(bench, device, network, images);
    }
  },
};

async function measure(bench: Bench, device: BenchDevice, network: Network, images: number): Promise<void> {
  const piece = { suite: "layers", name: `${network.name} step, batch ${images}` };
  const who = { contestant: "alexnet.ts", device };
  bench.working(piece);
  try {
    checkFit({ network, classes: network.classes, kind: "training" }, images, device.backend);
    const tried: { amount: number; ms: number }[] = [];
    for (const amount of TRIALS) {
      if (amount < images) tried.push({ amount, ms: await stepMs(network, device, amount) });
    }
    const reason = tried.length > 0 ? bench.overLong(extrapolate(tried, images)) : undefined;
    if (reason !== undefined) return bench.skip(piece, who, reason);
    const steps = new LayeredSteps(network, device.backend, images);
    try {
      await steps.run();
      steps.forget();
      const { least, most, rowMs } = bench.limits;
      for (let count = 0, ms = 0; count < least || (count < most && ms < rowMs); count++) ms += await steps.run();
      steps.confirm();
      report(bench, device, network, images, steps);
    } finally {
      steps.free();
    }
  } catch (error) {
    if (error instanceof WrongResult) bench.refuse(piece, who, error);
    else if (error instanceof AlexNetError) bench.skip(piece, who, error.message);
    else throw error;
  }
}

/** The ms of a warmed-up step, to try fewer images. */
async function stepMs(network: Network, { backend }: BenchDevice, images: number): Promise<number> {
  const steps = new LayeredSteps(network, backend, images);
  try {
    await steps.run();
    return await steps.run();
  } finally {
    steps.free();
  }
}

/** One row per part, and one for the whole step. */
function report(bench: Bench, device: BenchDevice, network: Network, images: number, { parts }: LayeredSteps): void {
  const count = parts.get("update")!.length;
  const wholes = Array.from({ length: count }, (_, i) => [...parts.values()].reduce((sum, part) => sum + part[i]!, 0));
  const whole = times(wholes);
  const add = (part: string, samples: readonly number[], work: Work) => {
    const ms = times(samples);
    const roof = { flop: device.roof.flopsPerSecond, byte: device.roof.bytesPerSecond, image: undefined }[work.unit];
    bench.add({
      ...{ suite: "layers", name: `${network.name} ${part}, batch ${images}`, contestant: "alexnet.ts" },
      ...{ device: device.device, work, ms, clock: "device", share: ms.median / whole.median },
      ...(roof && ms.best > 0 && { ofRoof: rate(work, ms.best) / roof }),
      check: "the loss falls from step to step on one batch",
    });
  };
  const works = worksOf(network, images);
  for (const [part, samples] of parts) add(part, samples, works.get(part)!);
  add("whole step", wholes, { unit: "image", amount: images });
}

/** The work of each part: a layer's products, otherwise the bytes that must be read and written. */
function worksOf(network: Network, images: number): Map<string, Work> {
  const layers = namedLayers(network);
  const works = new Map<string, Work>();
  // The gradient of the images is not needed.
  const firstToLearn = layers.findIndex(({ parameters }) => parameters.length > 0);
  layers.forEach((layer, i) => {
    const passes = [
      ...(i > firstToLearn ? (["input gradient"] as const) : []),
      ...(layer.parameters.length > 0 ? (["weight gradient"] as const) : []),
    ];
    works.set(`${layer.label} forward`, workOf(layer, "forward", images));
    if (passes.length === 0) return;
    const backward = passes.map((pass) => workOf(layer, pass, images));
    works.set(`${layer.label} backward`, {
      unit: backward[0]!.unit,
      amount: backward.reduce((sum, work) => sum + work.amount, 0),
    });
  });
  for (const { layer, output } of leaves(place(network))) {
    if (!("branches" in layer)) continue;
    // Two inputs and an output, in both passes.
    const work: Work = { unit: "byte", amount: 12 * size(output) * images };
    works.set(`${labelOf(layer, "")} forward`, work).set(`${labelOf(layer, "")} backward`, work);
  }
  const parameters = layers.flatMap((layer) => layer.parameters).reduce((sum, { shape }) => sum + size(shape), 0);
  const logits = size(layers.at(-1)!.output) * images;
  works.set("augment", { unit: "byte", amount: 15 * network.crop ** 2 * images });
  works.set("loss forward", { unit: "byte", amount: 8 * logits });
  works.set("loss backward", { unit: "byte", amount: 8 * logits });
  works.set("update", { unit: "byte", amount: 20 * parameters });
  return works;
}
