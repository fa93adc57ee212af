/** The images of a set that a network finds most like others: the nearest by the activations of a layer [P §6.1]. */
import { basename, resolve } from "node:path";
import { centreView } from "../../data/augmentation.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { Remark } from "../../data/remarks.ts";
import { DEVICE_OPTIONS, openDeviceOf } from "../../devices/open.ts";
import { activations } from "../../inference/forward.ts";
import { openTrained, setsFor, type Member } from "../../inference/loaded_model.ts";
import { replaceFile } from "../../io/files.ts";
import { place } from "../../net/model.ts";
import { findTap, type Tap } from "../../net/tap.ts";
import { given } from "../../options.ts";
import { drawNeighbours, type Neighbourhood } from "../../pictures/neighbours.ts";
import { renderPng } from "../../pictures/svg.ts";
import { working, type Context, type Notice } from "../../ranks/context.ts";
import { nameOf } from "../../runs/weights.ts";
import { count, text, texts, validate, type OptionsOf } from "../../schema.ts";
import { decodeImages, findImages, thumbnailOfNamed, type NamedImage } from "../shared/images.ts";
import { thumbnailOf } from "../shared/thumbnails.ts";
import { openIndex, type FeatureIndex } from "./feature_index.ts";
import { nearest } from "./nearest.ts";

export const SIMILAR_OPTIONS = {
  /** Image files, folders of them, or "-" for an image on standard input. */
  images: texts("Image files, folders of them, or - for standard input", {
    name: "image",
    place: "words",
    needed: true,
  }),
  /** The set that is searched, its training part if it has one; what the run was trained on if not given. */
  data: text("The set to search, its training part if it has one (what the run was trained on)", {
    name: "in",
    hint: "DATA",
  }),
  /** A run or a checkpoint file; the newest run if not given. */
  model: text("A run or a .safetensors file (the newest run)", { hint: "RUN" }),
  /** The name of a layer; as `findTap` chooses if not given. */
  layer: text("Whose activations (the last hidden layer: fc7 in AlexNet)", { hint: "NAME" }),
  /** How many images are found for each. */
  top: count("How many images to find (6)", { hint: "N" }),
  /** How many images go through the network at once while the index is made. */
  batch: count("Images at once while the index is made", { hint: "N" }),
  /** The PNG file that shows the images beside what was found; none is drawn if not given. */
  out: text("Draw the images beside what was found", { hint: "FILE.png" }),
  ...DEVICE_OPTIONS,
};

export interface SimilarOptions extends OptionsOf<typeof SIMILAR_OPTIONS> {}

export type Similar =
  | {
      readonly image: string;
      /** The nearest first. */
      readonly neighbours: readonly { readonly image: string; readonly class: string; readonly distance: number }[];
      /** How many vectors had to be read, and how long the search took. */
      readonly compared: number;
      readonly searchMs: number;
    }
  | { readonly image: string; readonly error: string };

export interface SimilarResult {
  readonly network: string;
  readonly weights: string;
  readonly layer: string;
  readonly data: string;
  /** Where the run's images are no longer what they were: what has changed, for people. */
  readonly changes?: string;
  /** How many images were searched. */
  readonly images: number;
  /** Where the index is kept. */
  readonly index: string;
  readonly device: string;
  /** What of the images that were named, and of the set, was left alone, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** The picture's absolute path, where one was asked for. */
  readonly picture?: string;
}

/** Six, as in the paper's figure. */
const TOP = 6;
/** More rows make a picture so long that viewers refuse it. */
const MAX_DRAWN = 32;

export type SimilarEvent =
  | Notice
  /** An index begins to be made. */
  | { readonly type: "index"; readonly images: number; readonly bytes: number; readonly folder: string }
  | { readonly type: "similar"; readonly similar: Similar };

/**
 * Finds for image after image, in the order given; one that can't be used is reported as such and the rest go on. The
 * index of the set is made the first time, and again when data, weights or layer have changed.
 * @param context its `report` is told of each image
 * @throws UsageError, DataError, CheckpointError, DeviceError, or AlexNetError when the index can't be written
 */
export async function similar(options: SimilarOptions, context: Context<SimilarEvent>): Promise<SimilarResult> {
  validate("similar", options, SIMILAR_OPTIONS);
  const { report, signal, note, progress } = working("similar", context);
  const { top = TOP } = options;
  const { images: named, remarks } = await findImages(options.images);
  using trained = openTrained(options.model);
  const { network, classes, weights } = trained;
  const tap = findTap(place(network, classes.length), options.layer);
  await using sets = await setsFor(options.data, trained, note);
  const dataset = sets.train;
  await using backend = await openDeviceOf(options);
  const batch = Math.min(options.batch ?? network.recipe.batch, dataset.length);
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
  const fact = `in ${basename(dataset.name)}, by ${tap.name} of ${network.name} (${nameOf(weights.path)})`;
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

/** @returns what there is to draw, if it is wanted */
async function searchAll(
  named: readonly NamedImage[],
  { index, dataset, member, tap, top, wantsPicture, signal }: Search,
  found: (similar: Similar) => void,
): Promise<Neighbourhood[]> {
  const rows: Neighbourhood[] = [];
  const { record, crop } = member.model.network;
  for await (const { images, pixels, errors } of decodeImages(named, record)) {
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
