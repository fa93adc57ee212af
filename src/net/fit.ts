/** Whether a batch fits into a device's memory, checked before any work begins. */
import type { Backend, HostArray } from "../engine/backend.ts";
import { openCounting } from "../engine/counting.ts";
import { VIEW_LENGTH } from "../engine/ops/augment.ts";
import { Tape } from "../engine/tape.ts";
import { size } from "../engine/tensor.ts";
import { DeviceError } from "../errors.ts";
import { setting } from "../option_names.ts";
import { count } from "../words.ts";
import { leaves, Model, place, type PlacedLayer } from "./model.ts";
import { createOptimizer, DEFAULT_OPTIMIZER } from "./optimizers.ts";
import { forwardBackward, networkInput, uploadMean } from "./passes.ts";
import type { Average } from "./later/average.ts";
import type { Network } from "./recipe.ts";

/** What a device has to do. */
export interface Work {
  readonly network: Network;
  readonly classes: number;
  /** Training includes validation after each epoch. */
  readonly kind: "training" | "evaluating";
  /** By its name; SGD if not given. */
  readonly optimizer?: string;
  /** What is averaged over the steps. */
  readonly average?: Average | undefined;
  /** Whether a step adds up the gradients of several batches. */
  readonly accumulates?: boolean;
  /** Whether classes have weights in the loss. */
  readonly weighs?: boolean;
  /** Whether activations are stored in half precision. */
  readonly half?: boolean;
  /** Layers that don't learn. */
  readonly frozen?: readonly string[];
  /** How many devices divide the images of a training step, each with the whole network; 1 if not given. */
  readonly shares?: number;
  /** How many images this device validates with, in batches of its own; no limit if not given. */
  readonly validationImages?: number;
}

/** @throws DeviceError if the batch does not fit; the message has the largest that does */
export function checkFit(work: Work, batch: number, backend: Backend): void {
  const lacking = lackOf(work, batch, backend);
  if (lacking === undefined) return;
  const below = largestBatch(batch, (batch) => lackOf(work, batch, backend) === undefined);
  throw new DeviceError(`${lacking}: ${below > 0 ? `use ${setting("batch", below)} or less` : `use another device`}`);
}

/** What a batch needs, and the device lacks, in words; undefined if it fits. */
export function lackOf(work: Work, batch: number, backend: Backend): string | undefined {
  const { network, classes } = work;
  const { bindingBytes, totalBytes } = backend.limits;
  const says = (needs: string, has: string) =>
    `${network.name} with a batch of ${batch} needs ${needs}, and the device (${backend.description}) ${has}`;
  const images = Math.max(...batchesOf(work, batch));
  const tensorBytes = largestTensorBytes(leaves(place(network, classes)), images, work.half);
  if (tensorBytes > bindingBytes) {
    return says(`a tensor of ${megabytes(tensorBytes)}`, `binds at most ${megabytes(bindingBytes)}`);
  }
  if (totalBytes === Infinity) return undefined;
  const held = heldBytes(work, batch, backend);
  return held > totalBytes ? says(megabytes(held), `has ${megabytes(totalBytes)}`) : undefined;
}

/**
 * A batch below `batch` that fits into `bytes` of memory; 0 if there is none. It is half of the largest that fits: a
 * device that ran out of memory may be unable to allocate all of it again in other sizes.
 */
export function fittingBatch(work: Work, batch: number, backend: Backend, bytes: number): number {
  const fits = (batch: number) => heldBytes(work, batch, backend) <= bytes;
  return Math.min(batch - 1, Math.floor(largestBatch(2 * batch, fits) / 2));
}

/** The largest batch below `above` that fits; 0 if none does. */
function largestBatch(above: number, fits: (batch: number) => boolean): number {
  let below = 0;
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    if (fits(middle)) below = middle;
    else above = middle;
  }
  return below;
}

/** Bytes of the largest activation. Weights don't count: those beyond the limit are bound in pieces. */
export function largestTensorBytes(
  layers: readonly Pick<PlacedLayer, "layer" | "input" | "output">[],
  batch: number,
  half = false,
): number {
  const each = half ? 2 : 4;
  const bytes = layers.flatMap(({ layer, input, output }) => [
    each * size(input),
    // A max-pool also notes where it found each number, in 4 bytes.
    ("maxPool" in layer ? 4 : each) * size(output),
  ]);
  return batch * Math.max(...bytes);
}

/** The numbers of images in a training step, if any, and in a forward pass. */
function batchesOf({ kind, shares = 1, validationImages = Infinity }: Work, batch: number): readonly number[] {
  return kind === "training" ? [Math.ceil(batch / shares), Math.min(batch, validationImages)] : [batch];
}

/**
 * The bytes of memory that a device holds at this batch size, scratch memory of ops included. They are counted by
 * running a training step and a forward pass that compute nothing.
 */
export function heldBytes(work: Work, batch: number, device: Backend): number {
  const { network, classes, kind, frozen = [] } = work;
  const backend = openCounting(device);
  const model = new Model(network, backend, classes);
  model.freeze(frozen);
  model.half = work.half ?? false;
  const side = network.record;
  const mean = uploadMean(backend, side, new Float32Array(side * side * 3));
  const stepOf = (images: number) => ({
    ...{ step: 0, seed: 0, valid: images, rateOf: () => 1 },
    pixels: unread(Uint8Array, images * side * side * 3),
    views: unread(Float32Array, images * VIEW_LENGTH),
    labels: new Uint32Array(images),
    ...(work.weighs && { classWeights: new Float32Array(classes) }),
  });
  const images = batchesOf(work, batch);
  if (kind === "training") {
    const { average, ...recipe } = network.recipe;
    const optimizer = createOptimizer(model, {
      ...{ ...recipe, optimizer: work.optimizer ?? DEFAULT_OPTIMIZER },
      ...(work.average && { average: work.average }),
    });
    // The gradients of a second batch are computed beside those that they are added to.
    for (let left = work.accumulates ? 2 : 1; left > 0; left--) {
      const tape = new Tape(backend);
      forwardBackward(tape, model, mean, stepOf(images[0]!));
      if (left === 1) optimizer.step(() => 1);
      tape.release();
    }
  }
  const tape = new Tape(backend, { record: false });
  model.forward(networkInput(tape, model, mean, stepOf(images.at(-1)!)));
  tape.release();
  return backend.statistics().bytes;
}

/** An array of any length that takes no memory, for a backend that doesn't read it. */
function unread<T extends HostArray>({ prototype }: { readonly prototype: T }, length: number): T {
  return Object.create(prototype, { length: { value: length } });
}

function megabytes(bytes: number): string {
  return `${count(Math.ceil(bytes / 1e6))} MB`;
}
