/**
 * A pack: a folder with pack.json, the mean image as mean.npy, shards (shard.ts), and report.csv. pack.json is written
 * last: without it, a pack is incomplete.
 */
import { DataError } from "../errors.ts";
import type { ColourAxes } from "./dataset.ts";
import type { Encoding } from "./shard.ts";

export const PACK_FILE = "pack.json";
export const MEAN_FILE = "mean.npy";
export const REPORT_FILE = "report.csv";
export const FORMAT = "alexnet-pack-1";
/** Enough for a million shards. */
export const MAX_PACK_FILE_BYTES = 256 * 2 ** 20;

export const PACK_SPLITS = ["train", "val"] as const;
export type PackSplit = (typeof PACK_SPLITS)[number];

export interface PackedShard {
  readonly file: string;
  readonly images: number;
  /** The checksum of its index, in 16 hexadecimal digits. */
  readonly checksum: string;
}

export interface PackedSplit {
  readonly images: number;
  /** Images of each class. */
  readonly classCounts: readonly number[];
  readonly shards: readonly PackedShard[];
}

export interface Pack {
  readonly format: typeof FORMAT;
  /** What was packed, for messages. */
  readonly source: string;
  readonly side: number;
  /** The size to which each image's shorter side was rescaled before the central side × side was cut out. */
  readonly shorter: number;
  readonly encoding: Encoding;
  /** JPEG quality; null for raw. */
  readonly quality: number | null;
  readonly classes: readonly string[];
  /** The splits. If `val` is null, validation images are to be held out of train. */
  readonly parts: { readonly train: PackedSplit; readonly val: PackedSplit | null };
  /** Over the training images, before encoding; their mean image is in mean.npy. */
  readonly statistics: {
    readonly images: number;
    readonly channelMean: readonly number[];
    readonly covariance: readonly number[];
    readonly axes: ColourAxes;
  };
}

/** A shard's checksum as written in pack.json. */
export const toHex = (checksum: bigint): string => checksum.toString(16).padStart(16, "0");

/** @param name of the file, for messages @throws DataError when it isn't a valid pack.json */
export function parsePack(text: string, name: string): Pack {
  const wrong = (what: string) => new DataError(`${name} is damaged: ${what}: pack again`);
  let pack: Partial<Pack> | null;
  try {
    pack = JSON.parse(text) as Partial<Pack> | null;
  } catch (error) {
    throw wrong((error as Error).message);
  }
  if (pack?.format !== FORMAT) {
    throw new DataError(`${name} has the format ${JSON.stringify(pack?.format)}, but this program reads "${FORMAT}"`);
  }
  const { side, encoding, classes, parts, statistics } = pack;
  if (!isCount(side) || side < 1 || side > 4096) throw wrong(`its side is ${JSON.stringify(side)}`);
  if (encoding !== "raw" && encoding !== "jpeg") throw wrong(`its encoding is ${JSON.stringify(encoding)}`);
  if (!Array.isArray(classes) || !classes.every((c) => typeof c === "string")) throw wrong("it has no class names");
  if (!isSplit(parts?.train)) throw wrong("its train split is invalid");
  if (parts.val !== null && !isSplit(parts.val)) throw wrong("its val split is invalid");
  const { channelMean, covariance, axes } = statistics ?? {};
  const numbers = [channelMean, covariance, axes?.values, ...(Array.isArray(axes?.vectors) ? axes.vectors : [])];
  const lengths = [3, 9, 3, 3, 3, 3];
  if (numbers.length !== lengths.length || !lengths.every((length, k) => isNumbers(numbers[k], length))) {
    throw wrong("its statistics are invalid");
  }
  return { ...(pack as Pack), classes: classes.map((name) => name.normalize()) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isNumbers(value: unknown, length: number): boolean {
  return Array.isArray(value) && value.length === length && value.every(Number.isFinite);
}

/** Shards are in the pack's own folder: no name may lead out of it. */
const SHARD_NAME = /^[a-z0-9-]+\.shard$/;

function isSplit(split: unknown): split is PackedSplit {
  const { images, shards } = (split ?? {}) as Partial<PackedSplit>;
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
