/** The rows of the contact sheet: images of a set, and what a network sees of them. */
import { centreView, drawViews } from "../../data/augmentation.ts";
import type { Dataset, Encoded, Pixels } from "../../data/dataset.ts";
import { BadImage, decodeRecord } from "../../data/decode.ts";
import { readHeader } from "../../data/header.ts";
import type { Backend } from "../../engine/backend.ts";
import { DataError } from "../../errors.ts";
import { uploadMean } from "../../net/passes.ts";
import type { Augmentation, Network } from "../../net/recipe.ts";
import { CELL, ORIGINAL_WIDTH, VERSIONS, type SheetRow } from "../../pictures/contact_sheet.ts";
import type { Raster } from "../../pictures/pixels.ts";
import { thumbnail } from "../../pictures/thumbnail.ts";
import { Purpose, Random } from "../../random.ts";
import { seen } from "../shared/seen.ts";
import type { Survey } from "./survey.ts";

interface RowOptions {
  readonly network: Network;
  readonly augmentation: Augmentation;
  readonly seed: number;
  /** Number of images. */
  readonly count: number;
  readonly backend: Backend;
}

/** Chooses images and makes a row of each: the original, its centre crop, and its versions in the first epochs. */
export async function showImages(survey: Survey, options: RowOptions): Promise<SheetRow[]> {
  const { dataset, statistics } = survey;
  const { network, augmentation, seed, backend } = options;
  const { record, crop } = network;
  const chosen = await choose(survey, options);
  const indices = Uint32Array.from(chosen, ({ index }) => index);
  const pixels = Buffer.concat(chosen.map((image) => image.record));
  const mean = uploadMean(backend, record, statistics.mean);
  const see = (views: Float32Array) => seen(mean, pixels, views, crop);
  const centres = await see(centreView(chosen.length, record, crop));
  const versions: Raster[][] = [];
  const drawing = { ...augmentation, record, size: crop };
  for (let epoch = 0; epoch < VERSIONS; epoch++) {
    versions.push(await see(drawViews(drawing, statistics.axes, seed, epoch, indices, 0)));
  }
  return chosen.map(({ index, original, size }, n) => ({
    name: dataset.classes[dataset.label(index)]!,
    details: [fileOf(dataset, index), size],
    original,
    centre: centres[n]!,
    versions: versions.map((images) => images[n]!),
  }));
}

interface Chosen {
  readonly index: number;
  readonly record: Uint8Array;
  readonly original: Raster;
  /** In words. */
  readonly size: string;
}

/** Chooses usable images from as many classes as possible. */
async function choose(survey: Survey, { network, seed, count }: RowOptions): Promise<Chosen[]> {
  const { dataset, members, bad } = survey;
  const classes = new Random(seed, Purpose.split, dataset.classes.length, 1).permutation(dataset.classes.length);
  const orders = [...classes].map((label) => ({
    own: members[label]!,
    order: new Random(seed, Purpose.split, label, 1).permutation(members[label]!.length),
  }));
  const chosen: Chosen[] = [];
  const largest = members.reduce((most, own) => Math.max(most, own.length), 0);
  for (let round = 0; round < largest && chosen.length < count; round++) {
    for (const { own, order } of orders) {
      if (round >= own.length || chosen.length === count) continue;
      const index = own[order[round]!]!;
      const image = bad.has(index) ? undefined : await open(survey, index, network);
      if (image) chosen.push(image);
    }
  }
  return chosen.sort((a, b) => dataset.label(a.index) - dataset.label(b.index) || a.index - b.index);
}

/** @returns undefined when the image can't be used */
async function open({ dataset, bad }: Survey, index: number, network: Network): Promise<Chosen | undefined> {
  const { record: side, resize } = network;
  const record = new Uint8Array(side * side * 3);
  try {
    const image = await dataset.read(index);
    await decodeRecord(image, side, record, resize);
    return { index, record, original: await thumbnail(image, ORIGINAL_WIDTH, CELL), size: sizeOf(image) };
  } catch (error) {
    if (!isBad(error)) throw error;
    bad.set(index, error.message);
    return undefined;
  }
}

function sizeOf(image: Encoded | Pixels): string {
  if (image.kind === "pixels") return `${image.width} × ${image.height}`;
  const header = readHeader(image.bytes);
  if (typeof header === "string") throw new BadImage(header);
  const { width, height, orientation, format } = header;
  return `${orientation >= 5 ? `${height} × ${width}` : `${width} × ${height}`} ${format}`;
}

/** An image's file name, without its folders. */
export function fileOf(dataset: Dataset, index: number): string {
  return dataset.nameOf(index).split(/[\\/]/).at(-1)!;
}

/** Whether an error is the image's or its file's, not a bug. */
function isBad(error: unknown): error is Error {
  return error instanceof BadImage || error instanceof DataError || (error instanceof Error && "syscall" in error);
}
