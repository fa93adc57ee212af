/** What a data set holds: how many images of each class, of what sizes and formats, and which can't be used. */
import { RecordCache } from "../../data/cache.ts";
import type { Dataset, Statistics } from "../../data/dataset.ts";
import { readHeader } from "../../data/header.ts";
import { measureStatistics } from "../../data/statistics.ts";

export interface Survey {
  readonly dataset: Dataset;
  /** The numbers of each class's images. */
  readonly members: readonly (readonly number[])[];
  /** Of the images that were read; `images` of them could be used. */
  readonly statistics: Statistics;
  /** Upright, in pixels, by area. */
  readonly sizes: readonly { readonly width: number; readonly height: number }[];
  /** How many files there were of each format; the most frequent first. */
  readonly formats: readonly (readonly [string, number])[];
  /** How many images were read for all this. */
  readonly looked: number;
  /** What is wrong with image i, for those of the images read, then or later, that can't be used. */
  readonly bad: Map<number, string>;
}

export interface SurveyOptions {
  readonly recordSize: number;
  /** Chooses the images that are read, and how many at most. */
  readonly seed: number;
  readonly sample: number;
  readonly onProgress: (done: number, total: number) => void;
}

/** @throws DataError when no image, or too few, can be decoded */
export async function survey(dataset: Dataset, options: SurveyOptions): Promise<Survey> {
  const sizes: { width: number; height: number }[] = [];
  const formats = new Map<string, number>();
  const cache = new RecordCache(dataset, options.recordSize, 0);
  // Headers are read as the images come by. Without `place` nobody reads them behind our back.
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
    ...{ dataset, members, statistics, sizes },
    formats: [...formats].sort(([, a], [, b]) => b - a),
    looked: statistics.images + cache.bad.size,
    bad: cache.bad,
  };
}
