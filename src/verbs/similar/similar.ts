/** Finds the most similar images of a set: the nearest by the activations of a layer [P §6.1]. */
import { resolve } from "node:path";
import { centreView } from "../../data/augmentation.ts";
import { titleOf, type Dataset } from "../../data/dataset.ts";
import type { Remark } from "../../data/remarks.ts";
import { DEVICE_OPTIONS, openDeviceOf } from "../../devices/open.ts";
import { activations } from "../../inference/forward.ts";
import { openTrained, setsFor, usualBatch } from "../../inference/loaded_model.ts";
import type { Member } from "../../inference/member.ts";
import { replaceFile } from "../../io/files.ts";
import { place } from "../../net/model.ts";
import { findTap, type Tap } from "../../net/tap.ts";
import { given } from "../../options.ts";
import { drawNeighbours, type Neighbourhood } from "../../pictures/neighbours.ts";
import { renderPng } from "../../pictures/svg.ts";
import { working, type Context, type Notice } from "../../ranks/context.ts";
import { nameOf } from "../../runs/weights.ts";
import { count, text, type OptionsOf } from "../../schema.ts";
import { decodeImages, findImages, images, thumbnailOfNamed, type NamedImage } from "../shared/images.ts";
import { thumbnailOf } from "../shared/thumbnails.ts";
import { openIndex, type FeatureIndex } from "./feature_index.ts";
import { nearest } from "./nearest.ts";

export const SIMILAR_OPTIONS = {
  /** Paths of image files and of folders of them, "-" for standard input; or the bytes of JPEG, PNG or WebP files. */
  images: images("Image files, folders of them, or - for standard input", { needed: true }),
  /** The set to search, or its training part; by default what the run was trained on. */
  data: text("The set to search, or its training part (what the run was trained on)", {
    name: "in",
    hint: "DATA",
  }),
  /** A run or a checkpoint file; by default the newest run. */
  model: text("A run or a .safetensors file (the newest run)", { hint: "RUN" }),
  /** The layer whose activations are compared; by default the last hidden one. */
  layer: text("The layer to compare by (the last hidden one: fc7 in AlexNet)", { hint: "NAME" }),
  /** How many images to find for each. */
  top: count("How many images to find for each (6)", { hint: "N" }),
  /** Batch size while the index is built. */
  batch: count("Batch size while the index is built", { hint: "N" }),
  /** A PNG file to draw the images and their neighbours to; by default none. */
  out: text("Draw the images with their neighbours", { hint: "FILE.png" }),
  ...DEVICE_OPTIONS,
};

export interface SimilarOptions extends OptionsOf<typeof SIMILAR_OPTIONS> {}

export type Similar =
  | {
      readonly image: string;
      /** The nearest first. */
      readonly neighbours: readonly { readonly image: string; readonly class: string; readonly distance: number }[];
      /** Number of vectors read, and duration of the search. */
      readonly compared: number;
      readonly searchMs: number;
    }
  | { readonly image: string; readonly error: string };

export interface SimilarResult {
  readonly network: string;
  readonly weights: string;
  readonly layer: string;
  readonly data: string;
  /** If images of the run have changed: what has changed, for people. */
  readonly changes?: string;
  /** Number of images searched. */
  readonly images: number;
  /** The folder of the index. */
  readonly index: string;
  readonly device: string;
  /** What was ignored in the named folders and in the set, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** The picture's absolute path, if requested. */
  readonly picture?: string;
}

/** Six, as in the paper's figure. */
const TOP = 6;
/** Viewers refuse pictures with many more rows. */
const MAX_DRAWN = 32;

export type SimilarEvent =
  | Notice
  /** Building an index begins. */
  | { readonly type: "index"; readonly images: number; readonly bytes: number; readonly folder: string }
  | { readonly type: "similar"; readonly similar: Similar };

/**
 * Finds the neighbours of each image, in the order given; an image that can't be used is reported, and the rest
 * continue; `onEvent` is called with each result. The index of the set is built the first time, and again when data,
 * weights or layer have changed.
 * @throws UsageError, DataError, CheckpointError, DeviceError, or AlexNetError when the index can't be written
 */
export async function similar(call: SimilarOptions & Context<SimilarEvent>): Promise<SimilarResult> {
  const { options, report, signal, note, progress } = working("similar", call, SIMILAR_OPTIONS);
  const { top = TOP } = options;
  const { images: named, remarks } = await findImages(options.images);
  using trained = await openTrained(options.model, note);
  const { network, classes, weights } = trained;
  const tap = findTap(place(network, classes.length), options.layer);
  await using sets = await setsFor(options.data, trained, note);
  const dataset = sets.train;
  await using backend = await openDeviceOf(options);
  const most = Math.min(options.batch ?? network.recipe.batch, dataset.length);
  const batch = options.batch === undefined ? usualBatch([trained], most, backend) : most;
  const member = trained.load(backend, batch);
  using index = await openIndex({
    ...{ member, tap, dataset, batch, progress, signal, backend, weights: weights.path },
    begins: (folder, images, bytes) => report({ type: "index", images, bytes, folder }),
  });
  const search = { index, dataset, member, tap, top, signal, wantsPicture: options.out !== undefined };
  const rows = await searchAll(named, search, (found) => report({ type: "similar", similar: found }));
  const result = {
    ...{ network: network.name, weights: weights.path, layer: tap.name, data: dataset.name },
    ...{ images: index.images.length, index: index.folder, device: backend.description },
    remarks: [...remarks, ...sets.remarks],
    ...given({ changes: sets.changes }),
  };
  if (options.out === undefined || rows.length === 0) return result;
  const picture = resolve(options.out);
  const fact = `in ${titleOf(dataset)}, by ${tap.name} of ${network.name} (${nameOf(weights)})`;
  const png = await renderPng(await drawNeighbours("Most similar images", fact, rows));
  await replaceFile(picture, (append) => append(png));
  return { ...result, picture };
}

interface Search {
  readonly index: FeatureIndex;
  readonly dataset: Dataset;
  readonly member: Member;
  readonly tap: Tap;
  readonly top: number;
  readonly wantsPicture: boolean;
  readonly signal: AbortSignal;
}

/** @returns what to draw, if a picture was requested */
async function searchAll(
  named: readonly NamedImage[],
  { index, dataset, member, tap, top, wantsPicture, signal }: Search,
  found: (similar: Similar) => void,
): Promise<Neighbourhood[]> {
  const rows: Neighbourhood[] = [];
  const { record, crop } = member.model.network;
  for await (const { images, pixels, errors } of decodeImages(named, member.model.network)) {
    signal.throwIfAborted();
    const views = centreView(images.length, record, crop);
    const vectors = await activations(member.model, member.mean, { pixels, views }, tap.count);
    for (const [n, image] of images.entries()) {
      const error = errors[n];
      if (error !== undefined) {
        found({ image: image.name, error });
        continue;
      }
      const query = vectors.subarray(n * tap.size, (n + 1) * tap.size);
      const start = performance.now();
      const { found: near, compared } = nearest(query, index.sketch, top, index.read);
      const searchMs = performance.now() - start;
      const numbers = near.map(({ row }) => index.images[row]!);
      const neighbours = numbers.map((i, k) => ({
        image: dataset.nameOf(i),
        class: dataset.classes[dataset.label(i)]!,
        distance: near[k]!.distance,
      }));
      found({ image: image.name, neighbours, compared, searchMs });
      if (!wantsPicture || rows.length === MAX_DRAWN) continue;
      const drawn = neighbours.map(async ({ image: name, class: label, distance }, k) => ({
        ...{ name, label, distance },
        image: await thumbnailOf(dataset, numbers[k]!),
      }));
      rows.push({
        ...{ name: image.name, image: await thumbnailOfNamed(image) },
        neighbours: await Promise.all(drawn),
      });
    }
  }
  return rows;
}
