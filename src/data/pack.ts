/**
 * What a pack is: a folder with pack.json, the mean image as mean.npy, shards (shard.ts), and report.csv. pack.json is
 * written last, so that a pack without it is not complete.
 */
import { DataError } from "../errors.ts";
import type { ColourAxes } from "./dataset.ts";
import type { Encoding } from "./shard.ts";

export const PACK_FILE = "pack.json";
export const MEAN_FILE = "mean.npy";
export const REPORT_FILE = "report.csv";
export const FORMAT = "alexnet-pack-1";
/** A pack.json of a million shards would still be smaller. */
export const MAX_PACK_FILE_BYTES = 256 * 2 ** 20;

export const PACK_SPLITS = ["train", "val"] as const;
export type PackSplit = (typeof PACK_SPLITS)[number];

export interface PackedShard {
  readonly file: string;
  readonly images: number;
  /** Of its index, as 16 hexadecimal digits. */
  readonly checksum: string;
}

export interface PackedSplit {
  readonly images: number;
  /** How many of each class. */
  readonly classCounts: readonly number[];
  readonly shards: readonly PackedShard[];
}

export interface Pack {
  readonly format: typeof FORMAT;
  /** What was packed, for people. */
  readonly source: string;
  readonly side: number;
  /** To which the shorter side of each image was rescaled before the central side × side was cut out. */
  readonly shorter: number;
  readonly encoding: Encoding;
  /** Of JPEG, else null. */
  readonly quality: number | null;
  readonly classes: readonly string[];
  /** Without val, a part is to be held out of train. */
  readonly parts: { readonly train: PackedSplit; readonly val: PackedSplit | null };
  /** Over the images to train on, before they were encoded; their mean image is in mean.npy. */
  readonly statistics: {
    readonly images: number;
    readonly channelMean: readonly number[];
    readonly covariance: readonly number[];
    readonly axes: ColourAxes;
  };
}

/** As a shard's checksum is written in pack.json. */
export const toHex = (checksum: bigint): string => checksum.toString(16).padStart(16, "0");

/** @param name of the file, for messages. @throws DataError when it is no pack.json or makes no sense */
export function parsePack(text: string, name: string): Pack {
  const wrong = (what: string) => new DataError(`${name} is damaged: ${what}: pack again`);
  let pack: Partial<Pack> | null;
  try {
    pack = JSON.parse(text) as Partial<Pack> | null;
  } catch (error) {
    throw wrong((error as Error).message);
  }
  if (pack?.format !== FORMAT) {
    throw new DataError(`${name} has the format ${JSON.stringify(pack?.format)}, this program reads "${FORMAT}"`);
  }
  const { side, encoding, classes, parts, statistics } = pack;
  if (!isCount(side) || side < 1 || side > 4096) throw wrong(`its side is ${JSON.stringify(side)}`);
  if (encoding !== "raw" && encoding !== "jpeg") throw wrong(`its encoding is ${JSON.stringify(encoding)}`);
  if (!Array.isArray(classes) || !classes.every((c) => typeof c === "string")) throw wrong("it has no class names");
  if (!isPart(parts?.train)) throw wrong("its part train makes no sense");
  if (parts.val !== null && !isPart(parts.val)) throw wrong("its part val makes no sense");
  const { channelMean, covariance, axes } = statistics ?? {};
  const numbers = [channelMean, covariance, axes?.values, ...(Array.isArray(axes?.vectors) ? axes.vectors : [])];
  const lengths = [3, 9, 3, 3, 3, 3];
  if (numbers.length !== lengths.length || !lengths.every((length, k) => isNumbers(numbers[k], length))) {
    throw wrong("its statistics make no sense");
  }
  return { ...(pack as Pack), classes: classes.map((name) => name.normalize()) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isNumbers(value: unknown, length: number): boolean {
  return Array.isArray(value) && value.length === length && value.every(Number.isFinite);
}

/** Shards lie in the folder itself: no name leads out of it. */
const SHARD_NAME = /^[a-z0-9-]+\.shard$/;

function isPart(part: unknown): part is PackedSplit {
  const { images, shards } = (part ?? {}) as Partial<PackedSplit>;
  return (
    isCount(images) &&
    Array.isArray(shards) &&
    shards.every(isShard) &&
    shards.reduce((sum, shard) => sum + shard.images, 0) === images
  );
}

function isShard(shard: unknown): boolean {
  const { file, images, checksum } = (shard ?? {}) as Partial<PackedShard>;
  return typeof file === "string" && SHARD_NAME.test(file) && isCount(images) && typeof checksum === "string";
}
