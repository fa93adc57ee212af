/** The images of a set that a network finds most like others: the nearest by the activations of a layer [P §6.1]. */
import { basename, resolve } from "node:path";
import { centreView } from "../../data/augmentation.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { Remark } from "../../data/remarks.ts";
import { closeSets } from "../../data/select.ts";
import { DEVICE_OPTIONS, openDeviceOf, type DeviceOptions } from "../../devices/open.ts";
import { UsageError } from "../../errors.ts";
import { activations } from "../../inference/forward.ts";
import { openTrained, setsFor, type Member } from "../../inference/loaded_model.ts";
import { replaceFile } from "../../io/files.ts";
import { place } from "../../net/model.ts";
import { findTap, type Tap } from "../../net/tap.ts";
import { checkOptions, type OptionKinds, given } from "../../options.ts";
import { drawNeighbours, type Neighbourhood } from "../../pictures/neighbours.ts";
import { renderPng } from "../../pictures/svg.ts";
import { checkCount } from "../../runs/config.ts";
import { nameOf } from "../../runs/weights.ts";
import { decodeImages, findImages, thumbnailOfNamed, type NamedImage } from "../shared/images.ts";
import { thumbnailOf } from "../shared/thumbnails.ts";
import { openIndex, type FeatureIndex } from "./feature_index.ts";
import { nearest } from "./nearest.ts";

export interface SimilarOptions extends DeviceOptions {
  /** Image files, folders of them, or "-" for an image on standard input. */
  readonly images: readonly string[];
  /** The set that is searched, its training part if it has one; what the run was trained on if not given. */
  readonly data?: string;
  /** A run or a checkpoint file; the newest run if not given. */
  readonly model?: string;
  /** The name of a layer; as `findTap` chooses if not given. */
  readonly layer?: string;
  /** How many images are found for each. */
  readonly top?: number;
  /** How many images go through the network at once while the index is made. */
  readonly batch?: number;
  /** The PNG file that shows the images beside what was found; none is drawn if not given. */
  readonly out?: string;
}

const OPTIONS: OptionKinds<SimilarOptions> = {
  ...DEVICE_OPTIONS,
  ...{ images: "string[]", data: "string?", model: "string?", layer: "string?", top: "number?" },
  ...{ batch: "number?", out: "string?" },
};

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

/**
 * Finds for image after image, in the order given; one that can't be used is reported as such and the rest go on. The
 * index of the set is made the first time, and again when data, weights or layer have changed.
 * @param found is told of each image
 * @param progress told what takes its time, a line at a time
 * @param note told once, before the index is made, how large it will be and where it is kept
 * @param signal stops it: it then rejects with the signal's reason
 * @throws UsageError, DataError, CheckpointError, DeviceError, or AlexNetError when the index can't be written
 */
export async function similar(
  options: SimilarOptions,
  found: (similar: Similar) => void,
  progress: (line: string) => void = () => {},
  note: (line: string) => void = () => {},
  signal?: AbortSignal,
): Promise<SimilarResult> {
  checkOptions("similar", options, OPTIONS);
  const { top = TOP } = options;
  if (!Number.isInteger(top) || top < 1) throw new UsageError(`--top ${top}: must be a whole number above 0`);
  if (options.batch !== undefined) checkCount("--batch", options.batch);
  const { images: named, remarks } = await findImages(options.images);
  const trained = openTrained(options.model);
  try {
    const { network, classes, weights } = trained;
    const tap = findTap(place(network, classes.length), options.layer);
    const sets = await setsFor(options.data, trained, progress);
    try {
      const dataset = sets.train;
      const backend = await openDeviceOf(options);
      try {
        const batch = Math.min(options.batch ?? network.recipe.batch, dataset.length);
        const member = trained.load(backend, batch);
        const index = await openIndex({
          ...{ member, tap, dataset, batch, progress, note, backend, weights: weights.path },
          ...(signal && { signal }),
        });
        try {
          const search = { index, dataset, member, tap, top, wantsPicture: options.out !== undefined };
          const rows = await searchAll(named, { ...search, ...(signal && { signal }) }, found);
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
        } finally {
          index.close();
        }
      } finally {
        await backend.close();
      }
    } finally {
      await closeSets(sets);
    }
  } finally {
    trained.close();
  }
}

interface Search {
  readonly index: FeatureIndex;
  readonly dataset: Dataset;
  readonly member: Member;
  readonly tap: Tap;
  readonly top: number;
  readonly wantsPicture: boolean;
  readonly signal?: AbortSignal;
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
    signal?.throwIfAborted();
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
