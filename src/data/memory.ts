/** Data sets that a program makes of images in its memory. */
import { DataError, UsageError } from "../errors.ts";
import { checkOptions, show } from "../options.ts";
import { rule, type Rule } from "../rules.ts";
import { parsed } from "../schema.ts";
import type { Dataset, Encoded, Pixels } from "./dataset.ts";

/** An image with its class. */
export type LabelledImage = {
  /** The class: its name, or its index in `classes`. */
  readonly label: number | string;
  /** For messages and reports; "NAME 0", "NAME 1", … by default. */
  readonly name?: string;
} & (
  | {
      /** Decoded: height × width × 3 bytes, interleaved RGB, row by row. */
      readonly pixels: Uint8Array;
      readonly width: number;
      readonly height: number;
    }
  | {
      /** The contents of a JPEG, PNG or WebP file. */
      readonly bytes: Uint8Array;
    }
);

export interface DatasetOptions {
  /** Class names; `label` is an index into them. */
  readonly classes: readonly string[];
  /** The set's name, for messages and reports; "images" by default. */
  readonly name?: string;
}

/**
 * Makes a data set of images in memory, which `train` and the others take as `data`. An async iterable is read to its
 * end. The arrays are kept as they are, without a copy: each image needs its own, and it must not change afterwards.
 * @throws UsageError for invalid options; DataError for an image of an unknown class, pixels that are not
 * width × height × 3 bytes, or no image at all
 */
export async function datasetOf(
  images: Iterable<LabelledImage> | AsyncIterable<LabelledImage>,
  options: DatasetOptions,
): Promise<Dataset> {
  checkOptions("datasetOf", options, { classes: "string[]", name: "string?" });
  const { classes, name = "images" } = options;
  if (typeof images !== "object" || !(Symbol.iterator in images || Symbol.asyncIterator in images)) {
    throw new UsageError(`datasetOf: the images are ${show(images)}, must be an iterable or an async iterable`);
  }
  const twice = classes.find((each, label) => classes.indexOf(each) < label);
  if (twice !== undefined) throw new UsageError(`datasetOf: there are two classes "${twice}"`);
  const numbers = new Map(classes.map((each, label) => [each, label]));
  const kept: (Encoded | Pixels)[] = [];
  const labels: number[] = [];
  const names: string[] = [];
  for await (const image of images) {
    const called = image.name ?? `${name} ${kept.length}`;
    const label = typeof image.label === "string" ? numbers.get(image.label) : image.label;
    if (label === undefined || !(label in classes)) {
      throw new DataError(`${called}: its label is ${show(image.label)}, must be one of ${classes.length} classes`);
    }
    kept.push(contentsOf(image, called));
    labels.push(label);
    names.push(called);
  }
  if (kept.length === 0) throw new DataError(`${name}: there is no image`);
  return {
    ...{ name, classes, length: kept.length },
    label: (i) => labels[i]!,
    nameOf: (i) => names[i]!,
    read: async (i) => kept[i]!,
    close: async () => {},
  };
}

function contentsOf(image: LabelledImage, called: string): Encoded | Pixels {
  if ("bytes" in image) {
    if (image.bytes instanceof Uint8Array) return { kind: "encoded", bytes: image.bytes };
    throw new DataError(`${called}: its bytes are ${show(image.bytes)}, must be a Uint8Array`);
  }
  const { pixels, width, height } = image;
  if (!(pixels instanceof Uint8Array)) {
    throw new DataError(`${called}: its pixels are ${show(pixels)}, must be a Uint8Array`);
  }
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || pixels.length !== width * height * 3) {
    throw new DataError(
      `${called}: ${pixels.length} bytes for ${width} × ${height} pixels: need three for each, red, green and blue`,
    );
  }
  return { kind: "pixels", pixels, width, height };
}

/** Begins, in a run's configuration, the name of a set that was in memory. Paths there are absolute. */
const IN_MEMORY = "memory:";

/** How a run records a set in memory. */
export const placeInMemory = ({ name }: Dataset): string => `${IN_MEMORY}${name}`;

/** @throws DataError for a set that was in the memory of the program that trained a run */
export function refuseMemory(data: string): void {
  if (!data.startsWith(IN_MEMORY)) return;
  throw new DataError(`the run's images were in a program's memory ("${data.slice(IN_MEMORY.length)}"): name the data`);
}

const isDataset = (value: unknown): value is Dataset =>
  typeof value === "object" &&
  value !== null &&
  Array.isArray((value as Dataset).classes) &&
  Number.isSafeInteger((value as Dataset).length) &&
  (["label", "nameOf", "read", "close"] as const).every((method) => typeof (value as Dataset)[method] === "function");

export const DATA: Rule = rule(
  (value) => typeof value === "string" || isDataset(value),
  "a path, or a Dataset such as one of datasetOf()",
);

/** An option for data: a path or, in the library, a data set. */
export const dataset = <const S extends object = {}>(help: string, traits?: S) =>
  parsed<string | Dataset, S>("any", (word) => word, help, { rule: DATA, ...traits } as unknown as S);
