/** What a model says of images: the most probable classes of each. */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { testViews } from "../data/augmentation.ts";
import type { Encoded, Place } from "../data/dataset.ts";
import { BadImage, decodeRecord } from "../data/decode.ts";
import type { DecodeResult } from "../data/decode_worker.ts";
import { decodeRows } from "../data/decoding.ts";
import { Reader } from "../data/reading.ts";
import { DataError, UsageError } from "../errors.ts";
import { Model } from "../model/model.ts";
import { checkViews } from "./config.ts";
import { openDevice, type DeviceOptions } from "./device.ts";
import { probabilities, uploadMean } from "./passes.ts";
import { findWeights, openWeights } from "./weights.ts";

export interface PredictOptions extends DeviceOptions {
  /** Image files, folders of them, or "-" for an image on standard input. */
  readonly images: readonly string[];
  /** A run or a checkpoint file; the newest run if not given. */
  readonly model?: string;
  /** 1: the centre; 2: the centre and its mirror image; 10: corners and centre, and their mirror images. */
  readonly views?: number;
  /** How many classes to name. */
  readonly top?: number;
}

export type Prediction =
  | { readonly image: string; readonly classes: readonly { readonly name: string; readonly probability: number }[] }
  | { readonly image: string; readonly error: string };

export interface Predictions {
  readonly network: string;
  readonly weights: string;
  readonly device: string;
}

/** This many images go through the network at once. */
const BATCH = 32;
const IMAGE_ENDING = /\.(jpe?g|png|webp)$/i;

/**
 * Predicts image after image, in the order given; one that can't be used is reported as such and the rest go on.
 * @param found is told of each prediction
 * @throws UsageError, CheckpointError or DeviceError
 */
export async function predict(options: PredictOptions, found: (prediction: Prediction) => void): Promise<Predictions> {
  const { top = 5 } = options;
  const views = checkViews(options.views ?? 1);
  if (!Number.isInteger(top) || top < 1) throw new UsageError(`--top ${top}: must be a whole number above 0`);
  const names = await listImages(options.images);
  const weights = findWeights(options.model);
  const { checkpoint, network } = openWeights(weights.path);
  try {
    const backend = await openDevice(options);
    try {
      const model = new Model(network, backend, checkpoint.classes.length);
      checkpoint.loadInto(model);
      const mean = uploadMean(backend, network.record, checkpoint.mean);
      const { record, crop } = network;
      for (let start = 0; start < names.length; start += BATCH) {
        const batch = names.slice(start, start + BATCH);
        const memory = new SharedArrayBuffer(batch.length * record * record * 3);
        const pixels = new Uint8Array(memory);
        const errors = await decodeAll(batch, record, memory);
        const viewsOfBatch = testViews(views, batch.length, record, crop);
        const p = await probabilities(model, mean, pixels, viewsOfBatch);
        batch.forEach((image, n) => {
          const error = errors[n];
          if (error !== undefined) return found({ image, error });
          const column = checkpoint.classes.map((name, k) => ({ name, probability: p[k * batch.length + n]! }));
          column.sort((a, b) => b.probability - a.probability);
          found({ image, classes: column.slice(0, top) });
        });
      }
      return { network: network.name, weights: weights.path, device: backend.description };
    } finally {
      await backend.close();
    }
  } finally {
    checkpoint.close();
  }
}

/** Decodes images into their records. @returns of each why it can't be used, or undefined */
async function decodeAll(names: readonly string[], side: number, records: SharedArrayBuffer): Promise<DecodeResult> {
  const files = await Promise.all(
    names.map(async (name) =>
      name === "-"
        ? ({ kind: "encoded", bytes: await Bun.stdin.bytes() } as const)
        : { path: resolve(name), offset: 0 },
    ),
  );
  // Starting threads takes longer than decoding an image.
  if (files.length === 1) return [await decodeAlone(files[0]!, side, new Uint8Array(records))];
  return (await decodeRows(
    records,
    side,
    files.map((image, row) => ({ row, image })),
  ))!;
}

async function decodeAlone(file: Place | Encoded, side: number, record: Uint8Array): Promise<string | undefined> {
  const reader = new Reader();
  try {
    await decodeRecord("kind" in file ? file : reader.read(file), side, record);
    return undefined;
  } catch (error) {
    if (error instanceof BadImage) return error.message;
    throw error;
  }
}

/** The images that were named, and those in the folders that were, in order. */
async function listImages(named: readonly string[]): Promise<string[]> {
  if (named.length === 0) throw new UsageError("no image was named: bun run predict photo.jpg");
  const images: string[] = [];
  for (const name of named) {
    const found = name === "-" ? undefined : await stat(name).catch(() => undefined);
    if (!found?.isDirectory()) {
      images.push(name);
      continue;
    }
    const files = (await readdir(name, { recursive: true })).filter((file) => IMAGE_ENDING.test(file)).sort();
    if (files.length === 0) throw new DataError(`there is no JPEG, PNG or WebP image in the folder ${name}`);
    images.push(...files.map((file) => join(name, file)));
  }
  return images;
}
