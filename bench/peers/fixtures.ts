/**
 * The data of all contestants: the same initial weights, pixels, expected logits, and a photo. Made once, in the peers'
 * folder.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { centreView } from "../../src/data/augmentation.ts";
import { openCpu } from "../../src/devices/cpu/backend.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { augment, VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { poolOf } from "../../src/engine/pool.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import type { Tensor } from "../../src/engine/tensor.ts";
import { replaceFile } from "../../src/io/files.ts";
import { leaves, Model } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { passOf, uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { Purpose, Random } from "../../src/random.ts";
import { openCheckpoint, saveCheckpoint } from "../../src/weights/checkpoint.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { drawWeights } from "../drawn.ts";

/** Number of distinct images; a batch repeats them. */
const IMAGES = 2;
const GREY = 127.5;

/** Pixels of `images` records, repeating IMAGES random ones. */
export function drawPixels(side: number, images: number): Uint8Array {
  const random = new Random(0, Purpose.drawing);
  const drawn = Uint8Array.from({ length: IMAGES * side * side * 3 }, () => random.word() & 255);
  const pixels = new Uint8Array(images * side * side * 3);
  for (let at = 0; at < pixels.length; at += drawn.length) pixels.set(drawn.subarray(0, pixels.length - at), at);
  return pixels;
}

export interface Fixtures {
  /** A checkpoint with initial weights. */
  readonly weights: string;
  /** `input` and `logits`; see StepJob. */
  readonly check: string;
}

export async function fixtures(folder: string, model: string): Promise<Fixtures> {
  mkdirSync(folder, { recursive: true });
  const found = { weights: join(folder, `${model}.safetensors`), check: join(folder, `${model}.check.safetensors`) };
  if (!existsSync(found.weights)) await saveInitial(found.weights, model);
  if (!existsSync(found.check)) await saveCheck(found.check, found.weights, model);
  return found;
}

/**
 * The same by a device itself, which takes seconds: for a comparison on that device, where the others must find what it
 * finds.
 */
export async function fixturesOf(device: Backend, folder: string, network: Network): Promise<Fixtures> {
  const files = { weights: join(folder, "weights.safetensors"), check: join(folder, "check.safetensors") };
  const model = new Model(network, device);
  try {
    drawWeights(model);
    await saveModel(files.weights, model, device);
    await saveLogits(files.check, model, device);
    return files;
  } finally {
    model.free();
    poolOf(device).trim();
  }
}

async function saveInitial(path: string, name: string): Promise<void> {
  const device = await openCpu({ blas: false });
  const model = new Model(findNetwork(name), device);
  model.initialise(0);
  await saveModel(path, model, device);
  await device.close();
}

async function saveModel(path: string, model: Model, device: Backend): Promise<void> {
  const { network } = model;
  await measureStatistics(model, device);
  const classes = Array.from({ length: network.classes }, (_, k) => `class ${k}`);
  const mean = new Float32Array(network.record * network.record * 3).fill(GREY);
  await saveCheckpoint(path, { model, classes, mean, state: {} });
}

/** Sets running means and variances to those of a batch: with their initial ones, a deep network's outputs overflow. */
async function measureStatistics(model: Model, device: Backend): Promise<void> {
  if (model.state.length === 0) return;
  const { record } = model.network;
  const tape = new Tape(device, { record: false });
  const mean = tape.input([record, record, 3], new Float32Array(record * record * 3).fill(GREY));
  model.forward(inputOf(tape, model, mean), passOf({ seed: 0, step: 0 }));
  for (const { layer, state } of leaves(model.layers)) {
    for (const { name, initial } of state) {
      const moved = Number(layer.options.momentum ?? 0.1);
      const { buffer } = model.state.find((statistic) => statistic.name === name)!;
      const values = (await device.read(buffer)) as Float32Array;
      device.write(
        buffer,
        values.map((value) => (value - (1 - moved) * initial) / moved),
      );
    }
  }
  tape.release();
}

/** The centres of IMAGES random records. */
function inputOf(tape: Tape, { network: { record, crop } }: Model, mean: Tensor): Tensor {
  const pixels = tape.input([IMAGES, record, record, 3], drawPixels(record, IMAGES));
  return augment(pixels, tape.input([IMAGES, VIEW_LENGTH], centreView(IMAGES, record, crop)), mean, crop);
}

/** The logits are computed by the reference backend in float64. */
async function saveCheck(path: string, weights: string, name: string): Promise<void> {
  const device = openReference("f64");
  const model = new Model(findNetwork(name), device);
  const checkpoint = openCheckpoint(weights);
  checkpoint.loadInto(model);
  checkpoint.close();
  await saveLogits(path, model, device);
  await device.close();
}

async function saveLogits(path: string, model: Model, device: Backend): Promise<void> {
  const { record, crop, classes } = model.network;
  const tape = new Tape(device, { record: false });
  const mean = uploadMean(device, record, new Float32Array(record * record * 3).fill(GREY));
  const x = inputOf(tape, model, mean);
  const input = imagesFirst(await x.read(), IMAGES);
  const logits = imagesFirst(await model.forward(x).read(), IMAGES);
  tape.release();
  device.free(mean.detach()!);
  await writeSafetensors(
    path,
    [
      { name: "input", shape: [IMAGES, 3, crop, crop], read: async () => input },
      { name: "logits", shape: [IMAGES, classes], read: async () => logits },
    ],
    {},
  );
}

/** From this project's … × N to the peers' N × …. */
function imagesFirst(values: ArrayLike<number>, images: number): Float32Array {
  const each = values.length / images;
  return Float32Array.from({ length: values.length }, (_, i) => values[(i % each) * images + Math.floor(i / each)]!);
}

/** A JPEG of a typical web photo's size, 500 × 375, with smooth colours and some noise. */
export async function photo(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "photo.jpg");
  if (existsSync(path)) return path;
  const [width, height] = [500, 375];
  const random = new Random(0, Purpose.drawing);
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const waves = [Math.sin(x / 40), Math.cos(y / 30), Math.sin((x + y) / 50)];
      waves.forEach((wave, c) => (rgba[4 * (y * width + x) + c] = 128 + 90 * wave + (random.word() & 31)));
    }
  }
  const bytes = await Transformer.fromRgbaPixels(rgba, width, height).jpeg(90);
  await replaceFile(path, (append) => append(bytes));
  return path;
}
