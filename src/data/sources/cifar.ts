/**
 * CIFAR-10 and CIFAR-100 in their binary version, from files or downloaded by name: records of a label byte (CIFAR-100:
 * a coarse and a fine one) and 32 × 32 pixels, first red, then green, then blue. A. Krizhevsky, "Learning Multiple Layers
 * of Features from Tiny Images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html.
 */
import { join } from "node:path";
import { DataError } from "../../errors.ts";
import { ownCacheFolder } from "../../native/cache.ts";
import type { Dataset } from "../dataset.ts";
import { leave, type Listing } from "../listing.ts";
import { download } from "./download.ts";
import type { ImageSource, Progress } from "./source.ts";

/** Archives by name, with the MD5 stated on the page. */
const ADDRESS = "https://www.cs.toronto.edu/~kriz/";
const ARCHIVES: Readonly<Record<string, { readonly file: string; readonly md5: string }>> = {
  cifar10: { file: "cifar-10-binary.tar.gz", md5: "c32a1d4ab5d03f1284b67883e8d87530" },
  cifar100: { file: "cifar-100-binary.tar.gz", md5: "03b5dce01913d631647c71ecec9e9cb8" },
};

export const cifar: ImageSource = {
  names: Object.keys(ARCHIVES),
  fetch: (name, progress) => fetchCifar(name, { progress }),
  openListing: openCifar,
};

interface FetchOptions {
  readonly progress: Progress;
  readonly address?: string;
  readonly archives?: typeof ARCHIVES;
  readonly folder?: string;
}

/** The path of an archive in the cache folder, downloaded if missing. @throws DataError */
export async function fetchCifar(
  name: string,
  { progress, address = ADDRESS, archives = ARCHIVES, folder = ownCacheFolder("data") }: FetchOptions,
): Promise<string> {
  const { file, md5 } = archives[name]!;
  return download({ url: address + file, path: join(folder, file), md5, progress });
}

const SIDE = 32;
const PLANE = SIDE * SIDE;

interface Format {
  readonly train: RegExp;
  readonly test: RegExp;
  /** The file with one class name per line. */
  readonly names: string;
  /** Other files of the archive. */
  readonly others: readonly string[];
  readonly classes: number;
  readonly labelBytes: number;
}

const FORMATS: readonly Format[] = [
  {
    train: /^data_batch_\d+\.bin$/,
    test: /^test_batch\.bin$/,
    names: "batches.meta.txt",
    others: ["batches.meta.txt", "readme.html"],
    classes: 10,
    labelBytes: 1,
  },
  {
    train: /^train\.bin$/,
    test: /^test\.bin$/,
    names: "fine_label_names.txt",
    others: ["fine_label_names.txt", "coarse_label_names.txt"],
    classes: 100,
    labelBytes: 2,
  },
];

/** Both splits if the files are CIFAR's, otherwise undefined. @throws DataError when they are damaged */
async function openCifar(listing: Listing): Promise<{ train: Dataset; val: Dataset } | undefined> {
  const files = listing.paths.map((path, index) => ({ path, index, name: path.split("/").at(-1)! }));
  if (files.some(({ name }) => name === "data_batch_1")) {
    throw new DataError(
      `${listing.name} holds CIFAR-10's Python version: download "CIFAR-10 binary version" from the same page`,
    );
  }
  for (const format of FORMATS) {
    const train = files.filter(({ name }) => format.train.test(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
    const test = files.filter(({ name }) => format.test.test(name));
    if (train.length === 0 && test.length === 0) continue;
    if (train.length === 0 || test.length === 0) {
      // A file called train.bin may well be something else.
      if (format.classes !== 10) continue;
      const lacking = train.length === 0 ? "data_batch_1.bin to data_batch_5.bin" : "test_batch.bin";
      throw new DataError(`${listing.name} holds part of CIFAR-10, but lacks ${lacking}: unpack the whole archive`);
    }
    const isKnown = (name: string) => format.train.test(name) || format.test.test(name) || format.others.includes(name);
    leave(
      listing,
      "other file",
      files.flatMap(({ name, index }) => (isKnown(name) ? [] : [index])),
    );
    const names = files.find(({ name }) => name === format.names);
    const lines = names
      ? Buffer.from(await listing.read(names.index))
          .toString("utf8")
          .split(/\r?\n/)
      : [];
    const given = lines.filter((line) => line !== "");
    const classes = given.length === format.classes ? given : Array.from({ length: format.classes }, (_, i) => `${i}`);
    const open = async (own: typeof files) =>
      records(
        listing,
        format,
        classes,
        await Promise.all(own.map(async (f) => ({ ...f, bytes: await listing.read(f.index) }))),
      );
    return { train: await open(train), val: await open(test) };
  }
  return undefined;
}

interface LoadedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

function records(listing: Listing, { labelBytes }: Format, classes: string[], files: readonly LoadedFile[]): Dataset {
  const record = labelBytes + 3 * PLANE;
  const where: { file: LoadedFile; at: number }[] = [];
  for (const file of files) {
    const { bytes, path } = file;
    if (bytes.length === 0 || bytes.length % record !== 0) {
      const size = `${bytes.length} bytes, not a multiple of ${record}`;
      throw new DataError(`${listing.name}/${path} is damaged: ${size}: download it again`);
    }
    for (let at = 0; at < bytes.length; at += record) {
      const label = bytes[at + labelBytes - 1]!;
      if (label >= classes.length)
        throw new DataError(`${listing.name}/${path} is damaged: label ${label} at byte ${at}: download it again`);
      where.push({ file, at });
    }
  }
  return {
    name: `${listing.name} (${files.map(({ path }) => path.split("/").at(-1)).join(", ")})`,
    root: listing.name,
    classes,
    length: where.length,
    imageSize: SIDE,
    label: (i) => where[i]!.file.bytes[where[i]!.at + labelBytes - 1]!,
    nameOf: (i) => `${listing.name}/${where[i]!.file.path} record ${where[i]!.at / record}`,
    async read(i) {
      const { file, at } = where[i]!;
      const planes = file.bytes.subarray(at + labelBytes, at + record);
      const pixels = new Uint8Array(3 * PLANE);
      for (let p = 0, to = 0; p < PLANE; p++, to += 3) {
        pixels[to] = planes[p]!;
        pixels[to + 1] = planes[PLANE + p]!;
        pixels[to + 2] = planes[2 * PLANE + p]!;
      }
      return { kind: "pixels", pixels, width: SIDE, height: SIDE };
    },
    close: () => listing.close(),
  };
}
