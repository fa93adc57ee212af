/**
 * Imports weights into a run folder, to be used like those trained here. It has no config.json: it can be fine-tuned,
 * but not resumed.
 */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { unlike, usualClasses } from "../../data/sources/synsets.ts";
import { size } from "../../engine/tensor.ts";
import { oneLine, UsageError } from "../../errors.ts";
import { openFile } from "../../io/bytes.ts";
import { reason, readFileUpTo, isUrl, NOT_FETCHED } from "../../io/files.ts";
import { networkIn } from "../../net/definition.ts";
import { leaves, place } from "../../net/model.ts";
import { openNetwork } from "../../net/network_file.ts";
import type { Network } from "../../net/recipe.ts";
import { option, setting } from "../../option_names.ts";
import { working, type Context } from "../../ranks/context.ts";
import { fetchPretrained, isPretrained, PRETRAINED } from "../../runs/pretrained.ts";
import { namedRun, newRun, type Run } from "../../runs/runs.ts";
import { numbers, oneOf, text, type OptionsOf } from "../../schema.ts";
import { suggest } from "../../suggest.ts";
import { FORMAT, writeCheckpoint } from "../../weights/checkpoint.ts";
import { EXPORT_FORMAT } from "../../weights/export/safetensors.ts";
import { readBinaryproto } from "../../weights/import/caffe.ts";
import { matchNetwork } from "../../weights/import/match.ts";
import { readNpy } from "../../weights/import/numpy.ts";
import { openWeightFile } from "../../weights/import/open.ts";
import { besideDivision, describe, usualOf, type Preprocessing } from "../../weights/import/preprocessing.ts";
import { importedContents } from "../../weights/import/read.ts";
import type { WeightFile } from "../../weights/import/weight_file.ts";
import { plural } from "../../words.ts";

export const IMPORT_OPTIONS = {
  /** A file, or the name of a pretrained network. */
  file: text(`A .pth, .pt, .safetensors, .caffemodel, .npz or .npy file, or ${Object.keys(PRETRAINED).join(", ")}`, {
    place: "word",
    needed: true,
  }),
  /** The run folder to create; by default runs/NAME-imported-1, -2, …. */
  out: text("The run folder to create (runs/MODEL-imported-1, …)", { hint: "FOLDER" }),
  /** The network, if several have the file's shapes. */
  model: text("The network, if several have these shapes", { hint: "NAME" }),
  /** A file with a class name per line. */
  classes: text("A file with a class name per line (ImageNet's for 1,000)", { hint: "FILE" }),
  /**
   * The mean that was subtracted from pixels in training: a mean image (.binaryproto or .npy), or three numbers in the
   * order of the colours, for pixels from 0 to `pixels`. By default 0; but without `mean`, `deviation` and `pixels` all
   * three are what is usual for the format.
   */
  mean: text("The mean subtracted from pixels: three numbers, a .binaryproto or a .npy (as usual for the format)", {
    hint: "A,B,C|FILE",
  }),
  /** Three numbers by which pixels were then divided; by default 1. */
  deviation: numbers("The deviation that pixels were then divided by (as usual for the format)", {
    name: "std",
    hint: "A,B,C",
    rule: threeAboveZero,
  }),
  /** The largest value of a pixel. */
  pixels: oneOf([1, 255], "The largest pixel value: 1 or 255", { hint: "N" }),
  /** The order of the colours; by default as usual for the format. */
  order: oneOf(["rgb", "bgr"], "The order of the colours: rgb or bgr", { hint: "ORDER" }),
};

export interface ImportOptions extends OptionsOf<typeof IMPORT_OPTIONS> {}

function threeAboveZero(value: unknown): string | undefined {
  const numbers = value as readonly number[];
  if (numbers.length === 3 && numbers.every((each) => each > 0 && each < Infinity)) return undefined;
  return ` ${numbers.join()}: must be three numbers above 0`;
}

export interface Imported {
  readonly run: string;
  readonly weights: string;
  readonly network: string;
  readonly parameters: number;
  readonly format: "PyTorch" | "safetensors" | "Caffe" | "NumPy";
  /** Where in the file the weights are, such as "state_dict"; "" if they are the whole file. */
  readonly place: string;
  /** Where other weights are that would fit too, such as averages over the training. */
  readonly others: readonly string[];
  /** Names of tensors that are not part of the network. */
  readonly beside: readonly string[];
  readonly classes: number;
  /** Where the class names come from. */
  readonly names: string;
  /** The preprocessing in words. */
  readonly preprocessing: string;
}

/** @throws UsageError, DataError or CheckpointError; then nothing is written */
export async function importWeights(call: ImportOptions & Context): Promise<Imported> {
  const { options, note, signal } = working("importWeights", call, IMPORT_OPTIONS);
  const path = await locate(options.file, note);
  await using file = await openWeightFile(path);
  if (file.metadata["format"] === FORMAT) {
    throw new UsageError(`${path} is already a checkpoint of this program: use it with ${setting("model", path)}`);
  }
  const own = isOwn(file) ? file.metadata : undefined;
  const match = matchNetwork(file, await networkOf(options.model, own));
  const { network, classes } = match;
  const preprocessing = await choosePreprocessing(options, file, network);
  const [names, from] = await classNames(options.classes, classes, own?.["classes"]);
  note(`Reading ${basename(path)}`);
  const contents = await importedContents(match, file, preprocessing, names);
  signal.throwIfAborted();
  const run = openRun(options.out, network.name);
  await writeCheckpoint(run.best, contents);
  return {
    run: run.path,
    weights: run.best,
    network: network.name,
    parameters: leaves(place(network, classes))
      .flatMap(({ parameters }) => parameters)
      .reduce((sum, { shape }) => sum + size(shape), 0),
    format: file.format,
    place: match.place,
    others: match.others,
    beside: match.beside,
    classes,
    names: from,
    preprocessing: describe(preprocessing),
  };
}

/** The network given by name, or else the one that this program recorded in an exported file. */
async function networkOf(model: string | undefined, own: WeightFile["metadata"] | undefined) {
  if (model !== undefined) return openNetwork(model);
  // Network files are code, so one is only run if the user names it.
  return own && networkIn(own, "the network in the file");
}

async function locate(file: string, note: (line: string) => void): Promise<string> {
  if (existsSync(file)) return file;
  if (isPretrained(file)) return fetchPretrained(file, note);
  // A bare word was probably meant as a name.
  const names = Object.keys(PRETRAINED);
  const known = /[./\\]/.test(file) ? "" : `${suggest(file, names)}; by name there is ${names.join(", ")}`;
  throw new UsageError(isUrl(file) ? `${file}: ${NOT_FETCHED}` : `there is no file ${file}${known}`);
}

function openRun(out: string | undefined, network: string): Run {
  return out === undefined ? newRun(`${network}-imported`) : namedRun(out);
}

/** The preprocessing given by options, or else that of the file, the network or the format. @throws UsageError */
async function choosePreprocessing(options: ImportOptions, file: WeightFile, network: Network): Promise<Preprocessing> {
  const { order, pixels, deviation } = options;
  const mean = options.mean === undefined ? undefined : await readMean(options.mean);
  if (mean === undefined && isOwn(file) && file.metadata["mean"] === "image") {
    throw new UsageError(
      `${file.path} was trained with a mean image: name it with ${option("mean")} (the .mean.npy file exported with it), ` +
        `or use three numbers if the mean colour will do`,
    );
  }
  const usual = ofFile(file, network);
  const isUsual = mean === undefined && deviation === undefined && pixels === undefined;
  const turned = order !== undefined && order !== usual.order;
  const inOrder = (numbers: Iterable<number>) => (turned ? [...numbers].reverse() : [...numbers]);
  const chosen = {
    order: order ?? usual.order,
    scale: pixels === undefined ? usual.scale : 255 / pixels,
    mean: mean ?? (isUsual ? inOrder(usual.mean) : PLAIN.mean),
    deviation: deviation ?? (isUsual ? inOrder(usual.deviation) : PLAIN.deviation),
  };
  return isOwn(file) ? chosen : besideDivision(chosen, network);
}

const PLAIN: Preprocessing = { order: "rgb", scale: 1, mean: [0, 0, 0], deviation: [1, 1, 1] };

/** Whether this program exported it. */
const isOwn = ({ metadata }: Pick<WeightFile, "metadata">): boolean => metadata["format"] === EXPORT_FORMAT;

function ofFile({ format, metadata }: WeightFile, network: Network): Preprocessing {
  if (isOwn({ metadata })) {
    const mean = metadata["mean"]?.split(",").map(Number) ?? [];
    return mean.length === 3 && mean.every(Number.isFinite) ? { ...PLAIN, mean } : PLAIN;
  }
  return usualOf({ format }, network);
}

/** Three numbers, or a mean image, channels × side × side. */
async function readMean(said: string): Promise<readonly number[] | Float32Array> {
  const numbers = said.split(",").map(Number);
  if (numbers.length === 3 && numbers.every(Number.isFinite)) return numbers;
  if (!existsSync(said))
    throw new UsageError(`${option("mean")} ${said}: neither a file nor three numbers such as 104,117,123`);
  await using file = await openFile(said);
  const { shape, values } = said.endsWith(".npy") ? await readNpy(file) : await readBinaryproto(file);
  if (shape.length === 1 && shape[0] === 3) return [...values];
  const [a, b, c] = shape;
  if (shape.length === 3 && a === 3 && b === c) return values;
  if (shape.length === 3 && c === 3 && a === b) {
    return Float32Array.from(values, (_, i) => values[3 * (i % (a! * a!)) + Math.floor(i / (a! * a!))]!);
  }
  throw new UsageError(`${option("mean")} ${said} is ${shape.join("×")}: must be 3×S×S, S×S×3, or 3 numbers`);
}

/** @returns the names, and where they come from */
async function classNames(
  path: string | undefined,
  count: number,
  stored: string | undefined,
): Promise<readonly [names: readonly string[], from: string]> {
  if (path !== undefined) {
    const text = readNames(path);
    const lines = text
      .split(/\r?\n/)
      .map((line) => oneLine(line).trim())
      .filter((line) => line !== "");
    if (lines.length === count) return [unlike(lines, lines.keys().toArray()), basename(path)];
    throw new UsageError(
      `${option("classes")} ${path} has ${plural(lines.length, "name")}, and the network ${count} outputs`,
    );
  }
  const own = parseNames(stored);
  if (own?.length === count) return [own, "the file"];
  return usualClasses(count);
}

/** Larger files are not lists of class names. */
const MAX_NAMES_BYTES = 16 * 2 ** 20;

function readNames(path: string): string {
  try {
    return readFileUpTo(path, MAX_NAMES_BYTES).toString("utf8");
  } catch (error) {
    throw new UsageError(`${option("classes")} ${path}: ${reason(error)}`, { cause: error });
  }
}

function parseNames(text: string | undefined): readonly string[] | undefined {
  try {
    const names: unknown = JSON.parse(text ?? "");
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names.map(oneLine) : undefined;
  } catch {
    return undefined;
  }
}
