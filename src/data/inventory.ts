/**
 * A record of the images a training started with: for each its name within the set, its class, and its size in bytes or,
 * in a pack, its checksum. Later it shows what was added, removed or changed, and which images were for training and
 * which for validation.
 */
import { stat } from "node:fs/promises";
import { show } from "../options.ts";
import { count } from "../words.ts";
import { nameWithin, subset, type Dataset } from "./dataset.ts";
import { opened, type Opened } from "./open.ts";

export interface Inventory {
  readonly classes: readonly string[];
  /** Training images first, then validation images. */
  readonly images: readonly Item[];
  /** Number of training images. */
  readonly train: number;
  /** Whether the validation images were held out, rather than being a split of their own. */
  readonly isHeldOut: boolean;
}

/** An image: name, class index, and size or checksum ("#" and eight hexadecimal digits). */
type Item = readonly [name: string, label: number, stamp: number | string];

const FORMAT = "alexnet-images-1";
/** Concurrent `stat` calls: on a network disk each takes a while. */
const AT_ONCE = 256;
const TELL_EVERY = 40 * AT_ONCE;

/** @param progress called now and then with the number of images done */
export async function takeInventory(
  { train, val, isHeldOut = false }: Opened,
  progress: (done: number, total: number) => void = () => {},
): Promise<Inventory> {
  const { classes } = train;
  const numbers = val.classes.map((name) => classes.indexOf(name));
  const total = train.length + val.length;
  // Two sets may have images of the same names.
  const prefix = train.root === val.root ? "" : "val: ";
  const itemOf = async (i: number): Promise<Item> => {
    if (i < train.length) return [nameWithin(train, i), train.label(i), await stampOf(train, i)];
    const k = i - train.length;
    return [prefix + nameWithin(val, k), numbers[val.label(k)]!, await stampOf(val, k)];
  };
  const images: Item[] = [];
  while (images.length < total) {
    const first = images.length;
    const some = Array.from({ length: Math.min(AT_ONCE, total - first) }, (_, k) => itemOf(first + k));
    images.push(...(await Promise.all(some)));
    if (images.length % TELL_EVERY === 0) progress(images.length, total);
  }
  return { classes, images, train: train.length, isHeldOut };
}

/** An image's size or checksum; 0 if it can't be read. */
async function stampOf(dataset: Dataset, i: number): Promise<number | string> {
  const place = dataset.place?.(i);
  if (place?.hash !== undefined) return stampOfHash(place.hash);
  if (place) return place.length ?? (await stat(place.path).catch(() => undefined))?.size ?? 0;
  if (dataset.imageSize !== undefined) return 3 * dataset.imageSize ** 2;
  const image = await dataset.read(i).catch(() => undefined);
  if (image?.kind !== "pixels") return image?.bytes.length ?? 0;
  return stampOfHash(Bun.hash.xxHash3(image.pixels));
}

function stampOfHash(hash: bigint): string {
  return `#${BigInt.asUintN(32, hash).toString(16).padStart(8, "0")}`;
}

/** JSON Lines: one line about all images, then one for each. */
export function inventoryText({ images, ...head }: Inventory): string {
  return [{ format: FORMAT, ...head }, ...images].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** @throws Error when the text is not an inventory */
export function parseInventory(text: string): Inventory {
  const lines = linesOf(text);
  const { format, classes, train, isHeldOut } = (lines.next().value ?? {}) as Partial<Inventory> & { format: unknown };
  if (format !== FORMAT) throw new Error(`its format is ${show(format)}, not "${FORMAT}"`);
  const areNames = Array.isArray(classes) && classes.every((name) => typeof name === "string");
  if (!areNames || typeof isHeldOut !== "boolean") throw new Error("its first line is invalid");
  const images: Item[] = [];
  for (const item of lines) {
    if (!isItem(item, classes.length)) throw new Error(`image ${images.length} is invalid`);
    images.push(item);
  }
  const isWhole = Number.isSafeInteger(train) && train! >= 0 && train! <= images.length;
  if (!isWhole) throw new Error(`${show(train)} of its ${images.length} images are said to be for training`);
  return { classes, images, train: train!, isHeldOut };
}

/** Parses lines one at a time, so that a malformed file is refused before all of it is in memory. */
function* linesOf(text: string): Generator<unknown> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    yield JSON.parse(text.slice(at, end < 0 ? undefined : end));
    at = end < 0 ? text.length : end + 1;
  }
}

function isItem(item: unknown, classes: number): item is Item {
  if (!Array.isArray(item) || item.length !== 3) return false;
  const [name, label, stamp] = item as unknown[];
  const isLabel = Number.isInteger(label) && (label as number) >= 0 && (label as number) < classes;
  return typeof name === "string" && isLabel && (typeof stamp === "string" || Number.isFinite(stamp));
}

const KINDS = ["added", "removed", "changed", "moved to another class", "moved to the other split"] as const;
type ChangeKind = (typeof KINDS)[number];

interface Comparison {
  /** For each image then its index now, or −1. */
  readonly places: Int32Array;
  /** For messages: how many images differ, how, and the first of them; undefined when none does. */
  readonly changes: string | undefined;
}

/**
 * Matches the images of two inventories by name. A different order is not a difference, nor is a different division into
 * splits where it was random.
 */
export function compareInventories(then: Inventory, now: Inventory): Comparison {
  const labels = new Map(then.classes.map((name, label) => [name, label]));
  const found = new Differences(labels);
  const places = new Int32Array(then.images.length).fill(-1);
  const isHeldOut = then.isHeldOut && now.isHeldOut;
  const move = (i: number, place: number): ChangeKind | undefined => {
    if (classOf(then, i) !== classOf(now, place)) return "moved to another class";
    return !isHeldOut && i < then.train !== place < now.train ? "moved to the other split" : undefined;
  };
  const rest = new Map(uniqueNames(now).map((name, i) => [name, i]));
  const gone: number[] = [];
  uniqueNames(then).forEach((key, i) => {
    const place = rest.get(key);
    if (place === undefined) return gone.push(i);
    rest.delete(key);
    const [[name, , before], [, , after]] = [then.images[i]!, now.images[place]!];
    const [was, is] = [classOf(then, i), classOf(now, place)];
    const moved = move(i, place);
    if (moved === "moved to another class") found.add(moved, was, name, `which is now of class "${is}"`);
    else if (moved) found.add(moved, was, name, `which is now for ${place < now.train ? "training" : "validation"}`);
    else if (before !== after) found.add("changed", was, name, differenceOf(before, after));
    // A class unknown to the run has no index.
    if (labels.has(is)) places[i] = place;
  });
  // The same file in another folder.
  const arrived = Map.groupBy(rest.values(), (place) => fileKey(now, place));
  for (const i of gone) {
    const [[name], was] = [then.images[i]!, classOf(then, i)];
    const others = arrived.get(fileKey(then, i)) ?? [];
    const at = others.findIndex((place) => move(i, place));
    if (at < 0) found.add("removed", was, name, "which is gone");
    else {
      const [place] = others.splice(at, 1);
      found.add(move(i, place!)!, was, name, `which is now ${now.images[place!]![0]}`);
    }
  }
  for (const place of [...arrived.values()].flat()) {
    found.add("added", classOf(now, place), now.images[place]![0], "which is new");
  }
  return { places, changes: found.text() };
}

/** Counts differences, and keeps the first one by class and name. */
class Differences {
  readonly #labels: ReadonlyMap<string, number>;
  readonly #counts = new Map<ChangeKind, number>();
  #first: { readonly label: number; readonly name: string; readonly text: string } | undefined;

  constructor(labels: ReadonlyMap<string, number>) {
    this.#labels = labels;
  }

  add(kind: ChangeKind, of: string, name: string, how: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    // New classes come last.
    const label = this.#labels.get(of) ?? Infinity;
    const first = this.#first;
    if (first && (first.label < label || (first.label === label && first.name <= name))) return;
    this.#first = { label, name, text: `${name} of class "${of}", ${how}` };
  }

  text(): string | undefined {
    if (!this.#first) return undefined;
    const counts = KINDS.filter((kind) => this.#counts.has(kind)).map(
      (kind) => `${count(this.#counts.get(kind)!)} ${kind}`,
    );
    return `${counts.join(", ")}; first ${this.#first.text}`;
  }
}

function classOf({ classes, images }: Inventory, i: number): string {
  return classes[images[i]![1]]!;
}

/** The names, made unique by a number where a list has one more than once. */
function uniqueNames({ images }: Inventory): string[] {
  const times = new Map<string, number>();
  return images.map(([name]) => {
    const before = times.get(name) ?? 0;
    times.set(name, before + 1);
    return before === 0 ? name : `${name}\n${before}`;
  });
}

function fileKey({ images }: Inventory, i: number): string {
  const [name, , stamp] = images[i]!;
  return `${stamp} ${name.slice(name.lastIndexOf("/") + 1)}`;
}

function differenceOf(before: number | string, after: number | string): string {
  const areSizes = typeof before === "number" && typeof after === "number";
  return areSizes ? `which has ${after} bytes and had ${before}` : "whose contents differ";
}

/** A division into splits, as indices into the training images followed by the validation images. */
export interface Division {
  readonly classes: readonly string[];
  readonly train: readonly number[];
  readonly val: readonly number[];
}

/** Redistributes the images of a set's splits. Closing either of the new splits closes the whole set. */
export function divide({ train, val, remarks }: Opened, { classes, ...parts }: Division): Opened {
  const numbers = [train, val].map((part) => part.classes.map((name) => classes.indexOf(name)));
  const find = (i: number): [part: Dataset, k: number] => (i < train.length ? [train, i] : [val, i - train.length]);
  const { challengeIds } = val;
  const all: Dataset = {
    name: train.name,
    ...(train.root !== undefined && train.root === val.root && { root: train.root }),
    classes,
    ...(challengeIds && String(val.classes) === String(classes) && { challengeIds }),
    length: train.length + val.length,
    ...(train.imageSize !== undefined && train.imageSize === val.imageSize && { imageSize: train.imageSize }),
    label(i) {
      const [part, k] = find(i);
      return numbers[part === train ? 0 : 1]![part.label(k)]!;
    },
    nameOf(i) {
      const [part, k] = find(i);
      return part.nameOf(k);
    },
    read(i) {
      const [part, k] = find(i);
      return part.read(k);
    },
    ...(train.place &&
      val.place && {
        place(i: number) {
          const [part, k] = find(i);
          return part.place!(k);
        },
      }),
    async close() {
      await train.close();
      await val.close();
    },
  };
  return opened({
    train: subset(all, Uint32Array.from(parts.train), train.name),
    val: subset(all, Uint32Array.from(parts.val), val.name),
    remarks,
  });
}
