/** Draws what a network will see of a data set: some images beside their crops, and the set's statistics. */
import { dirname, relative, resolve } from "node:path";
import { RecordCache } from "../../data/cache.ts";
import type { Dataset } from "../../data/dataset.ts";
import { dataset } from "../../data/memory.ts";
import { counted, inWords as remarkInWords, isWarning, type Remark } from "../../data/remarks.ts";
import { openSets } from "../../data/select.ts";
import { DEVICE_OPTIONS, openDeviceOf } from "../../devices/open.ts";
import { oneLine } from "../../errors.ts";
import { replaceFile } from "../../io/files.ts";
import { openNetwork } from "../../net/network_file.ts";
import { findNetwork } from "../../net/networks.ts";
import type { Augmentation, Network, Recipe } from "../../net/recipe.ts";
import { drawSheet, WIDTH } from "../../pictures/contact_sheet.ts";
import { renderPng } from "../../pictures/svg.ts";
import { working, type Context } from "../../ranks/context.ts";
import { wholeFromTo } from "../../rules.ts";
import { inWords } from "../../runs/augment_words.ts";
import { makeConfig } from "../../runs/config.ts";
import { PRETRAINED } from "../../runs/pretrained.ts";
import { SETTINGS } from "../../runs/settings.ts";
import { FOR_PHOTOS } from "../../runs/weights.ts";
import { number, text, type OptionsOf } from "../../schema.ts";
import { count, plural } from "../../words.ts";
import { duplicatesInWords, findDuplicates } from "../shared/duplicates.ts";
import { PHOTOS, suitedModel } from "../shared/suited_model.ts";
import { fineTuningRecipe } from "../train/fine_tune.ts";
import { fileOf, showImages } from "./rows.ts";
import { survey, type Survey } from "./survey.ts";

const IMAGES = 8;
/** Viewers refuse pictures with many more rows. */
const MAX_IMAGES = 64;

export const LOOK_OPTIONS = {
  /** A folder or archive; by default the built-in set. */
  data: dataset("A set of images, as for `train` (the built-in set)", { place: "word" }),
  /** The validation set, as for `train`. */
  val: dataset("The validation set, as for `train`", { hint: "PATH" }),
  /** The network whose crops and augmentation are shown; by default as `train` chooses. */
  model: text("The network whose crops and augmentation to show (as `train` chooses)", { hint: "NAME" }),
  /** As for `train`. */
  augment: text("Augmentation, as for `train` (the network's own)", { hint: "WHAT" }),
  /** Chooses the images and their augmentation. */
  seed: number("Chooses the images and their augmentation (0)", { hint: "N", rule: SETTINGS.seed }),
  /** Number of images, a row each. */
  images: number(`How many images, a row each (${IMAGES})`, { hint: "N", rule: wholeFromTo(1, MAX_IMAGES) }),
  /** The file to write; by default look.png. */
  out: text("The PNG file to write (look.png)", { hint: "FILE" }),
  ...DEVICE_OPTIONS,
  /** The device that augments the images; by default the cpu. */
  device: text("The device that augments the images, as for `train` (cpu)", { hint: "NAME" }),
};

export interface LookOptions extends OptionsOf<typeof LOOK_OPTIONS> {}

export interface Look {
  /** The picture's absolute path, and its size in pixels and in bytes. */
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly data: string;
  readonly network: string;
  /** In words. */
  readonly augmentation: string;
  readonly classes: number;
  readonly images: number;
  /** Number of validation images; null if the data has none set apart. */
  readonly validation: number | null;
  /**
   * Number of validation images that are nearly the same as a training image or, if none are set apart, of images that
   * are nearly the same as another; null for the built-in set, and for sets too large to look.
   */
  readonly duplicates: number | null;
  /** Number of images in the statistics. */
  readonly measured: number;
  /** "file: reason" for each image that was read and can't be used. */
  readonly bad: readonly string[];
  /** What was ignored, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** Problems to know of before training. */
  readonly warnings: readonly string[];
}

/** Number of images measured: their mean and colour axes look like those of all. */
const SAMPLE = 2000;
const MAX_WARNINGS = 3;

/**
 * Writes a contact sheet of a data set as PNG.
 * @throws UsageError, DataError or DeviceError; then nothing is written
 */
export async function look(call: LookOptions & Context = {}): Promise<Look> {
  const { options, signal, note, progress } = working("look", call, LOOK_OPTIONS);
  const { data = null, val = null, images = IMAGES, augment, seed: chosenSeed } = options;
  await using sets = await openSets({ data, val, holdOut: 0, seed: 0 }, note);
  const { network, recipe } = await networkFor(options.model, data, sets.train);
  const own = { augment, seed: chosenSeed };
  const { augmentation, seed } = makeConfig(own, network, placeOf(data), placeOf(val), recipe);
  await using backend = await openDeviceOf({ ...options, device: options.device ?? "cpu" });
  const onProgress = (done: number, total: number) => {
    signal.throwIfAborted();
    progress("looking", done, total, "images");
  };
  const surveyed = await survey(sets.train, {
    recordSize: network.record,
    resize: network.resize,
    seed,
    sample: SAMPLE,
    onProgress,
  });
  const rows = await showImages(surveyed, { network, augmentation, seed, count: images, backend });
  const validation = sets.val === sets.train ? null : sets.val.length;
  const train = { dataset: sets.train, cache: surveyed.cache };
  const other = validation === null ? train : { dataset: sets.val, cache: new RecordCache(sets.val, network.record) };
  const duplicates = data === null ? undefined : await findDuplicates(train, other, { network, progress: onProgress });
  const warnings = [
    ...(duplicates?.length ? [oneLine(duplicatesInWords(duplicates, sets.train, sets.val))] : []),
    ...warningsOf(surveyed),
  ];
  const { svg, height } = await drawSheet({
    title: titleOf(sets.train, data),
    facts: factsOf(surveyed, validation, network, augmentation, seed),
    warnings: firstOf([...sets.remarks.filter(isWarning).map((remark) => remarkInWords(remark)), ...warnings]),
    rows,
    mean: meanImage(surveyed, network.record),
    channelMean: surveyed.statistics.channelMean,
    axes: surveyed.statistics.axes,
    measured: `of ${plural(surveyed.statistics.images, "image")}`,
    looked: lookedAt(surveyed),
    classes: classesOf(surveyed),
    counts: countsOf(surveyed, sets.remarks),
  });
  signal.throwIfAborted();
  const png = await renderPng(svg);
  const file = resolve(options.out ?? "look.png");
  await replaceFile(file, (append) => append(png));
  return {
    ...{ file, width: WIDTH, height, bytes: png.length },
    data: sets.train.name,
    network: network.name,
    augmentation: inWords(augmentation, network),
    classes: sets.train.classes.length,
    images: sets.train.length,
    validation,
    duplicates: duplicates?.length ?? null,
    measured: surveyed.statistics.images,
    bad: [...surveyed.bad].map(([i, reason]) => `${sets.train.nameOf(i)}: ${reason}`),
    remarks: sets.remarks,
    warnings,
  };
}

/** The network that `train` would choose, and the recipe, which for photos is that of pretrained weights. */
async function networkFor(
  model: string | undefined,
  data: string | Dataset | null,
  set: Dataset,
): Promise<{ readonly network: Network; readonly recipe: Recipe }> {
  const suited = model ?? (await suitedModel(data, set));
  if (model === undefined && suited === PHOTOS) {
    const network = findNetwork(PRETRAINED[FOR_PHOTOS].network);
    return { network, recipe: fineTuningRecipe(network) };
  }
  const network = await openNetwork(suited);
  return { network, recipe: network.recipe };
}

function placeOf(data: string | Dataset | null): string | null {
  return data === null || typeof data === "string" ? data : data.name;
}

/** The name of the data, without its parent folders. */
function titleOf({ name }: Dataset, data: string | Dataset | null): string {
  if (data === null) return `${name}, the built-in set`;
  if (typeof data !== "string") return name;
  const below = relative(dirname(resolve(data)), resolve(name)).replaceAll("\\", "/");
  return below === "" || below.startsWith("..") ? name : below;
}

function factsOf(
  { dataset }: Survey,
  validation: number | null,
  network: Network,
  augmentation: Augmentation,
  seed: number,
): string[] {
  const { name, crop, record } = network;
  return [
    `${plural(dataset.length, "image")} of ${plural(dataset.classes.length, "class", "classes")}` +
      (validation === null ? "" : `, and ${count(validation)} for validation`),
    `${name} sees ${crop} × ${crop}` + (crop < record ? ` of ${record} × ${record} pixels` : " pixels"),
    `Augmentation: ${inWords(augmentation, network)}; seed ${seed}`,
  ];
}

function meanImage({ statistics }: Survey, side: number) {
  return { pixels: Uint8Array.from(statistics.mean, Math.round), width: side, height: side };
}

function classesOf({ dataset, members }: Survey) {
  const classes = dataset.classes.map((name, label) => ({ name, images: members[label]!.length }));
  return classes.sort((a, b) => b.images - a.images);
}

function lookedAt({ dataset, looked }: Survey): string {
  return looked === dataset.length
    ? `all ${count(looked)} looked at`
    : `${count(looked)} of ${count(dataset.length)} looked at`;
}

function countsOf({ dataset, sizes, formats, bad }: Survey, remarks: readonly Remark[]): [string, string][] {
  const size = (at: number) => {
    const { width, height } = sizes[at]!;
    return `${width} × ${height}`;
  };
  const last = sizes.length - 1;
  const same = size(0) === size(last);
  const [first] = bad;
  const left = remarks.filter((remark) => !isWarning(remark));
  return [
    ...(same
      ? [["size", `${size(0)}, all of them`] as [string, string]]
      : ([
          ["smallest", size(0)],
          ["median", size(last >> 1)],
          ["largest", size(last)],
        ] as [string, string][])),
    ["format", formats.map(([format, n]) => (formats.length === 1 ? format : `${format} ${count(n)}`)).join(", ")],
    ["unusable", first ? `${count(bad.size)}, first ${fileOf(dataset, first[0])}: ${first[1]}` : "none"],
    ...(left.length > 0 ? [["ignored", left.map(counted).join(", ")] as [string, string]] : []),
  ];
}

/** The first few, as many as the picture has room for. */
function firstOf(warnings: readonly string[]): string[] {
  const left = warnings.length - MAX_WARNINGS;
  return [...warnings.slice(0, MAX_WARNINGS), ...(left > 0 ? [`and ${count(left)} more like these`] : [])];
}

/** A class with fewer images is hardly learnt. */
const FEW = 10;

function warningsOf(surveyed: Survey): string[] {
  const few = classesOf(surveyed).filter(({ images }) => images < FEW);
  const fewest = few.at(-1);
  const { dataset, bad } = surveyed;
  return [
    ...(fewest
      ? [
          `${plural(few.length, "class has", "classes have")} fewer than ${FEW} images; the smallest, ` +
            `"${fewest.name}", has ${fewest.images}`,
        ]
      : []),
    ...[...bad].map(([i, reason]) => `${dataset.nameOf(i)} can't be used: ${reason}`),
  ].map(oneLine);
}
