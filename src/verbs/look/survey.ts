/** Surveys a data set: images per class, sizes, formats, and images that can't be used. */
import { RecordCache } from "../../data/cache.ts";
import type { Dataset, Statistics } from "../../data/dataset.ts";
import { readHeader } from "../../data/header.ts";
import { measureStatistics } from "../../data/statistics.ts";
import type { ResizeFilter } from "../../net/recipe.ts";

export interface Survey {
  readonly dataset: Dataset;
  /** Of the images read. */
  readonly cache: RecordCache;
  /** Indices of each class's images. */
  readonly members: readonly (readonly number[])[];
  /** Of the images read; `images` of them could be used. */
  readonly statistics: Statistics;
  /** In pixels, upright, sorted by area. */
  readonly sizes: readonly { readonly width: number; readonly height: number }[];
  /** Number of files of each format, the most frequent first. */
  readonly formats: readonly (readonly [string, number])[];
  /** Number of images read. */
  readonly looked: number;
  /** Why image i can't be used, for those read so far. */
  readonly bad: Map<number, string>;
}

interface SurveyOptions {
  readonly recordSize: number;
  readonly resize?: ResizeFilter | undefined;
  /** Chooses the images to read, at most `sample`. */
  readonly seed: number;
  readonly sample: number;
  readonly onProgress: (done: number, total: number) => void;
}

/** @throws DataError when no image, or too few, can be decoded */
export async function survey(dataset: Dataset, options: SurveyOptions): Promise<Survey> {
  const sizes: { width: number; height: number }[] = [];
  const formats = new Map<string, number>();
  const cache = new RecordCache(dataset, options.recordSize);
  // Reads each image's header on the way. Without `place`, all reads come through here.
  const { place: _, ...rest } = dataset;
  const noting: Dataset = {
    ...rest,
    async read(i) {
      const image = await dataset.read(i);
      const header = image.kind === "pixels" ? { ...image, format: "pixels", orientation: 1 } : readHeader(image.bytes);
      if (typeof header !== "string") {
        const { width, height, orientation, format } = header;
        sizes.push(orientation >= 5 ? { width: height, height: width } : { width, height });
        formats.set(format, (formats.get(format) ?? 0) + 1);
      }
      return image;
    },
  };
  const statistics = await measureStatistics(noting, { ...options, cache });
  const members: number[][] = dataset.classes.map(() => []);
  for (let i = 0; i < dataset.length; i++) members[dataset.label(i)]!.push(i);
  sizes.sort((a, b) => a.width * a.height - b.width * b.height || a.width - b.width);
  return {
    ...{ dataset, cache, members, statistics, sizes },
    formats: [...formats].sort(([, a], [, b]) => b - a),
    looked: statistics.images + cache.bad.size,
    bad: cache.bad,
  };
}
