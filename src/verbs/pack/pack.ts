/** Packs an image set into shards of small images of one size, which load at the speed of the disk. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { decodingMemory, withOwnMemory } from "../../data/decoding.ts";
import { dataset } from "../../data/memory.ts";
import { FORMAT, PACK_FILE, PACK_SPLITS, type PackSplit } from "../../data/pack.ts";
import type { PackJob } from "../../data/pack_worker.ts";
import { partialPath, type ImageProblem } from "../../data/partial.ts";
import type { Remark } from "../../data/remarks.ts";
import { openSets } from "../../data/select.ts";
import type { Encoding } from "../../data/shard.ts";
import { WorkerPool } from "../../data/worker_pool.ts";
import { DataError, UsageError } from "../../errors.ts";
import { reason, replaceFile, readPlainFile, requirePlainFolder } from "../../io/files.ts";
import { LOCK_FILES, lockFolder } from "../../io/lock.ts";
import { option, setting } from "../../option_names.ts";
import { agree, gatherValues, settingsOf, stoppedElsewhere } from "../../ranks/agreement.ts";
import { working, type Context, type Notice, type Working } from "../../ranks/context.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import { wholeFromTo } from "../../rules.ts";
import { count, number, oneOf, text, type OptionsOf } from "../../schema.ts";
import {
  assemble,
  packSize,
  readPack,
  removePartials,
  type Planned,
  type PackSets,
  type PackSettings,
} from "./assembly.ts";

/** A photo of 256 × 256 takes about 28 KB. */
const DEFAULT_QUALITY = 95;
const MAX_SIDE = 4096;

export const PACK_OPTIONS = {
  /** As for `train`: a folder, an archive, or the name of a set. */
  data: dataset("A set of images, as for `train`: a folder, an archive, ImageNet's archives", {
    place: "word",
    needed: true,
  }),
  /** The folder of the pack; if it is incomplete, packing continues. */
  out: text("The folder of the pack; if it is incomplete, packing continues", { place: "word", needed: true }),
  /** The validation set, as for `train`. */
  val: dataset("The validation set, as for `train`", { hint: "PATH" }),
  /** Side of the packed images in pixels; by default 256. */
  side: number("Side of the packed images in pixels (256)", { hint: "S", rule: wholeFromTo(1, MAX_SIDE) }),
  /** Length to which the shorter side is rescaled before the centre is cropped; by default `side`. */
  shorter: count("Rescale the shorter side to this before cropping the centre (as --side)", { hint: "S" }),
  /** By default "jpeg". */
  encoding: oneOf(["jpeg", "raw"], "jpeg (about 28 KB an image), or raw (197 KB, five times as fast)", {
    name: "as",
    hint: "jpeg|raw",
  }),
  /** JPEG quality, 1 to 100. */
  quality: number(`JPEG quality, 1 to 100 (${DEFAULT_QUALITY})`, { hint: "Q", rule: wholeFromTo(1, 100) }),
  /** Images per shard; by default a 32nd of the training set, from 32 to 1024. */
  shard: count("Images per shard (32 to 1024, by the size of the set)", { hint: "N" }),
  /** Number of threads; by default one per core. */
  threads: count("Number of threads (all cores)", { hint: "N" }),
};

export interface PackOptions extends OptionsOf<typeof PACK_OPTIONS> {}

export interface PackResult {
  readonly out: string;
  readonly encoding: Encoding;
  readonly side: number;
  readonly classes: number;
  readonly train: number;
  readonly val: number;
  readonly shards: number;
  readonly bytes: number;
  /** Problems with images, those skipped first; report.csv has them too. */
  readonly problems: readonly ImageProblem[];
  /** What was ignored in the data, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** Number of images that this call packed, and its speed. */
  readonly packed: number;
  readonly imagesPerSecond: number;
}

type Packed = Omit<PackResult, "remarks">;

/** Small sets get small shards, so that every core has one. */
const SHARD_SHARE = 1 / 32;
const SHARD_MIN = 32;
const SHARD_MAX = 1024;
const PLAN_FILE = "plan.json";
const MAX_PLAN_BYTES = 64 * 2 ** 10;

/** Everything that determines the bytes of a pack. A folder with another plan belongs to another pack. */
interface PackPlan {
  readonly format: string;
  readonly side: number;
  readonly shorter: number;
  readonly encoding: Encoding;
  readonly quality: number | null;
  readonly shard: number;
  readonly images: Readonly<Record<PackSplit, number>>;
  /** XXH3 of the names and classes of all images. */
  readonly content: string;
}

/**
 * Packs both splits of a set, and keeps what an earlier call with the same settings has packed. The signal stops it
 * after the current shards. Several ranks must write to the same folder.
 * @throws UsageError, DataError when too many images can't be used, AlexNetError when a file can't be written,
 * LockedError when another process packs into the same folder
 */
export async function pack(call: PackOptions & Context): Promise<PackResult> {
  const { options, ...work } = working("pack", call, PACK_OPTIONS);
  const { ranks, note, warn } = work;
  const given = chosen(options, ranks);
  await using sets = await openSets({ data: options.data, val: options.val ?? null, holdOut: 0, seed: 0 }, note);
  // Without a validation set, both splits are all images.
  const parts = sets.train === sets.val ? { train: sets.train } : sets;
  const shard = Math.min(SHARD_MAX, Math.max(SHARD_MIN, Math.ceil(parts.train.length * SHARD_SHARE)));
  const out = resolve(options.out);
  const settings = { ...given, shard: given.shard ?? shard };
  const plan = planOf(parts, settings);
  await agree(ranks, () => ({ ...settingsOf(options), plan }));
  makeFolder(out);
  // Another process packing into the same folder would delete files that this one is writing.
  using _ = ranks.rank === 0 ? lockFolder(out, warn) : undefined;
  return { ...(await packParts(parts, settings, plan, out, work)), remarks: sets.remarks };
}

type ChosenOptions = Required<Omit<PackOptions, "data" | "out" | "val" | "shard">> & Pick<PackOptions, "shard">;

function chosen(options: PackOptions, { local }: Ranks): ChosenOptions {
  const { side = 256, encoding = "jpeg", quality = DEFAULT_QUALITY, shard } = options;
  const cores = Math.max(1, Math.floor(availableParallelism() / local.size));
  const { shorter = side, threads = cores } = options;
  if (shorter < side)
    throw new UsageError(`${option("shorter")} ${shorter}: must be at least ${option("side")} (${side})`);
  if (encoding === "raw" && options.quality !== undefined)
    throw new UsageError(`${option("quality")} is only for ${setting("encoding", "jpeg", "as")}`);
  return { side, shorter, encoding, quality, threads, ...(shard !== undefined && { shard }) };
}

async function packParts(
  parts: PackSets,
  settings: PackSettings,
  plan: PackPlan,
  out: string,
  { ranks, signal, report }: Working<Notice>,
): Promise<Packed> {
  const shards = PACK_SPLITS.flatMap((part) => planShards(part, parts[part]?.length ?? 0, settings.shard, out));
  const begun = await ranks.share(async () => {
    await claim(out, plan);
    return {
      isPacked: existsSync(join(out, PACK_FILE)),
      missing: shards.flatMap((shard, i) => (isThere(shard) ? [] : [i])),
    };
  });
  if (begun.isPacked) {
    return ranks.share(() => {
      // An earlier call may have been killed before it removed them.
      removePartials(shards);
      return summarise(out, [], 0, 0);
    });
  }
  const own = begun.missing.flatMap((i, k) => (k % ranks.size === ranks.rank ? [shards[i]!] : []));
  const images = (some: readonly Planned[]) => some.reduce((sum, { from, to }) => sum + to - from, 0);
  const [total, before] = [images(shards), images(shards) - images(begun.missing.map((i) => shards[i]!))];
  const start = performance.now();
  const rateOf = (packed: number) => packed / ((performance.now() - start) / 1000);
  const packed = await packShards(own, parts, settings, signal, (packed) => {
    // Assumes that the other ranks are about as far.
    const done = Math.min(total, before + packed * ranks.size);
    const imagesPerSecond = rateOf(packed) * ranks.size;
    report({ type: "progress", what: "packing", done, total, unit: "images", imagesPerSecond });
  });
  const ends = await gatherValues(ranks, { packed, stopped: signal.aborted });
  if (ends.some(({ stopped }) => stopped)) throw signal.reason ?? stoppedElsewhere();
  const all = ends.reduce((sum, end) => sum + end.packed, 0);
  const rate = all === 0 ? 0 : rateOf(all);
  return ranks.share(async () => {
    const lost = shards.find((shard) => !isThere(shard));
    if (lost && ranks.size > 1) {
      throw new DataError(`${lost.path} is missing: all ranks must write to the same folder, on a disk they share`);
    }
    return summarise(out, await assemble(out, parts, settings, shards), all, rate);
  });
}

/** Packs shards, several at once, until it is stopped. @returns the number of images packed */
async function packShards(
  shards: readonly Planned[],
  parts: PackSets,
  settings: PackSettings,
  signal: AbortSignal,
  told: (packed: number) => void,
): Promise<number> {
  let packed = 0;
  const waiting = [...shards];
  using threads = new WorkerPool<PackJob, null>(
    new URL("../../data/pack_worker.ts", import.meta.url),
    Math.max(1, Math.min(settings.threads, shards.length)),
  );
  // Each lane waits for its shard before it creates the next job, so that few are in memory.
  const lanes = Array.from({ length: 2 * threads.count }, async () => {
    for (let shard = waiting.shift(); shard && !signal.aborted; shard = waiting.shift()) {
      await threads.run(await jobOf(parts[shard.part]!, shard, settings));
      packed += shard.to - shard.from;
      told(packed);
    }
  });
  await Promise.all(lanes);
  return packed;
}

/** Whether a shard is packed. */
function isThere({ path }: Planned): boolean {
  return existsSync(path) && existsSync(partialPath(path));
}

function planShards(part: PackSplit, images: number, size: number, out: string): Planned[] {
  return Array.from({ length: Math.ceil(images / size) }, (_, k) => {
    const file = `${part}-${String(k).padStart(5, "0")}.shard`;
    return { part, file, path: join(out, file), from: k * size, to: Math.min(images, (k + 1) * size) };
  });
}

function planOf(parts: PackSets, { side, shorter, encoding, quality, shard }: PackSettings): PackPlan {
  let content = 0n;
  for (const part of PACK_SPLITS) {
    const set = parts[part];
    for (let i = 0; set && i < set.length; i++) {
      content = Bun.hash.xxHash3(`${basename(set, i)}\0${set.classes[set.label(i)]}`, content);
    }
  }
  return {
    ...{ format: FORMAT, side, shorter, encoding, quality: encoding === "jpeg" ? quality : null, shard },
    images: { train: parts.train.length, val: parts.val?.length ?? 0 },
    content: content.toString(16),
  };
}

/** The file name of image i, without its folders, which may have been moved. */
function basename(set: Dataset, i: number): string {
  return set.nameOf(i).split(/[/\\]/).at(-1)!;
}

/** @throws DataError */
function makeFolder(out: string): void {
  try {
    mkdirSync(out, { recursive: true });
    requirePlainFolder(out);
  } catch (error) {
    throw new DataError(`can't pack into ${out}: ${reason(error)}`, { cause: error });
  }
}

/** Claims the folder for this pack. @throws UsageError when it holds another one */
async function claim(out: string, plan: PackPlan): Promise<void> {
  const text = `${JSON.stringify(plan, undefined, 2)}\n`;
  const path = join(out, PLAN_FILE);
  try {
    const files = readdirSync(out).filter((file) => !LOCK_FILES.includes(file));
    if (!files.includes(PLAN_FILE)) {
      const foreign = files.find((file) => !file.endsWith(".tmp"));
      if (foreign !== undefined) throw new UsageError(`${out} is not empty (${foreign}): name a new folder`);
    } else if (readPlainFile(path, MAX_PLAN_BYTES).toString("utf8") !== text) {
      throw new UsageError(
        `${out} holds a pack of other images or with other settings (${PLAN_FILE}): name another folder, or delete it`,
      );
    }
    // Files that a kill left half written.
    for (const file of files) if (file.endsWith(".tmp")) rmSync(join(out, file), { force: true });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new DataError(`can't pack into ${out}: ${reason(error)}`, { cause: error });
  }
  if (!existsSync(path)) await replaceFile(path, (append) => append(Buffer.from(text)));
}

async function jobOf(set: Dataset, { path, from, to }: Planned, settings: PackSettings): Promise<PackJob> {
  const numbers = Array.from({ length: to - from }, (_, k) => from + k);
  const images = await Promise.all(
    numbers.map(async (i) => ({
      image: set.place?.(i) ?? withOwnMemory(await set.read(i)),
      label: set.label(i),
      name: set.nameOf(i),
    })),
  );
  const { side, shorter, encoding, quality } = settings;
  return { path, side, shorter, encoding, quality, images, memory: decodingMemory };
}

async function summarise(
  out: string,
  problems: readonly ImageProblem[],
  packed: number,
  imagesPerSecond: number,
): Promise<Packed> {
  const { encoding, side, classes, parts } = await readPack(out);
  return {
    ...{ out, encoding, side, packed, imagesPerSecond, problems },
    classes: classes.length,
    train: parts.train.images,
    val: parts.val?.images ?? 0,
    shards: parts.train.shards.length + (parts.val?.shards.length ?? 0),
    bytes: packSize(out, parts),
  };
}
