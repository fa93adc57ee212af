/** Writes an image set once as shards of small images of one size, to be trained on at the speed of the disk. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { decodingMemory, withOwnMemory } from "../../data/decoding.ts";
import { FORMAT, PACK_FILE, PACK_SPLITS, type PackSplit } from "../../data/pack.ts";
import type { PackJob } from "../../data/pack_worker.ts";
import { partialPath, type Problem } from "../../data/partial.ts";
import type { Remark } from "../../data/remarks.ts";
import { openSets } from "../../data/select.ts";
import type { Encoding } from "../../data/shard.ts";
import { WorkerPool } from "../../data/worker_pool.ts";
import { DataError, UsageError } from "../../errors.ts";
import { reason, replaceFile, readPlainFile, requirePlainFolder } from "../../io/files.ts";
import { LOCK_FILES, lockFolder } from "../../io/lock.ts";
import { agree, gatherValues, settingsOf, stoppedElsewhere } from "../../ranks/agreement.ts";
import { working, type Context, type Notice, type Working } from "../../ranks/context.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import { wholeFromTo } from "../../rules.ts";
import { count, number, oneOf, text, validate, type OptionsOf } from "../../schema.ts";
import { assemble, packSize, readPack, removePartials, type Planned, type Parts, type Settings } from "./assembly.ts";

/** Photos of 256 × 256 take about 28 KB. */
const DEFAULT_QUALITY = 95;
const MAX_SIDE = 4096;

export const PACK_OPTIONS = {
  /** What `train` is given: a folder, an archive, or the name of a set. */
  data: text("What `train` is given: a folder, an archive, ImageNet's archives", { place: "word", needed: true }),
  /** The folder of the pack; packing goes on where it stopped. */
  out: text("The folder to make; packing goes on where it stopped", { place: "word", needed: true }),
  /** What to validate with, as for `train`. */
  val: text("What to validate with, as for `train`", { hint: "PATH" }),
  /** Side of the packed images in pixels (256). */
  side: number("Side of the packed images in pixels (256)", { hint: "S", rule: wholeFromTo(1, MAX_SIDE) }),
  /** To which the shorter side is rescaled before the centre is cut out (`side`). */
  shorter: count("To which the shorter side is rescaled before the centre is cut out (as --side)", { hint: "S" }),
  /** "jpeg" if not given. */
  encoding: oneOf(["jpeg", "raw"], "jpeg (about 28 KB an image), or raw (197 KB, five times as fast)", {
    name: "as",
    hint: "jpeg|raw",
  }),
  /** Of JPEG, 1 to 100. */
  quality: number(`Of JPEG, 1 to 100 (${DEFAULT_QUALITY})`, { hint: "Q", rule: wholeFromTo(1, 100) }),
  /** Images a shard (a 32nd of the part to train on, from 32 to 1024). */
  shard: count("Images a file (from 32 to 1024, by the size of the set)", { hint: "N" }),
  /** How many threads pack; as many as there are cores if not given. */
  threads: count("How many threads (all cores)", { hint: "N" }),
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
  /** What to look at, first images that could not be used; all of it is in report.csv. */
  readonly problems: readonly Problem[];
  /** What of the data was left alone, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** Images that this call went through, and how fast. */
  readonly packed: number;
  readonly imagesPerSecond: number;
}

type Packed = Omit<PackResult, "remarks">;

/** Small sets get small shards, so that all cores have one. */
const SHARD_SHARE = 1 / 32;
const SHARD_MIN = 32;
const SHARD_MAX = 1024;
const PLAN_FILE = "plan.json";
const MAX_PLAN_BYTES = 64 * 2 ** 10;

/** What decides the bytes of a pack: a folder with another plan is another pack's. */
interface Plan {
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
 * Packs both parts of a set. What an earlier call with the same settings has packed is kept. It is stopped after the
 * shards under way; several ranks must write into the same folder.
 * @throws UsageError, DataError when too many images can't be used, AlexNetError when a file can't be written,
 * LockedError when another process packs into the same folder
 */
export async function pack(options: PackOptions, context: Context = {}): Promise<PackResult> {
  validate("pack", options, PACK_OPTIONS);
  const work = working("pack", context);
  const { ranks, note, warn } = work;
  const given = chosen(options, ranks);
  await using sets = await openSets({ data: options.data, val: options.val ?? null, holdOut: 0, seed: 0 }, note);
  // Where nothing says what to validate with, both parts are all images.
  const parts = sets.train === sets.val ? { train: sets.train } : sets;
  const shard = Math.min(SHARD_MAX, Math.max(SHARD_MIN, Math.ceil(parts.train.length * SHARD_SHARE)));
  const out = resolve(options.out);
  const settings = { ...given, shard: given.shard ?? shard };
  const plan = planOf(parts, settings);
  await agree(ranks, () => ({ ...settingsOf(options), plan }));
  makeFolder(out);
  // Two that pack into one folder would take away what the other is writing.
  using _ = ranks.rank === 0 ? lockFolder(out, warn) : undefined;
  return { ...(await packParts(parts, settings, plan, out, work)), remarks: sets.remarks };
}

type Given = Required<Omit<PackOptions, "data" | "out" | "val" | "shard">> & Pick<PackOptions, "shard">;

function chosen(options: PackOptions, { local }: Ranks): Given {
  const { side = 256, encoding = "jpeg", quality = DEFAULT_QUALITY, shard } = options;
  const cores = Math.max(1, Math.floor(availableParallelism() / local.size));
  const { shorter = side, threads = cores } = options;
  if (shorter < side) throw new UsageError(`--shorter ${shorter}: must be at least --side (${side})`);
  if (encoding === "raw" && options.quality !== undefined) throw new UsageError("--quality is for JPEG, not for raw");
  return { side, shorter, encoding, quality, threads, ...(shard !== undefined && { shard }) };
}

async function packParts(
  parts: Parts,
  settings: Settings,
  plan: Plan,
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
      // It may have been killed after its last step but one.
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
    // The others are about as far.
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
      throw new DataError(`${lost.path} is not there: all ranks must write into the same folder, on a disk they share`);
    }
    return summarise(out, await assemble(out, parts, settings, shards), all, rate);
  });
}

/** Packs shard after shard, several at once, until it is stopped. @returns how many images it packed */
async function packShards(
  shards: readonly Planned[],
  parts: Parts,
  settings: Settings,
  signal: AbortSignal,
  told: (packed: number) => void,
): Promise<number> {
  let packed = 0;
  const waiting = [...shards];
  using threads = new WorkerPool<PackJob, null>(
    new URL("../../data/pack_worker.ts", import.meta.url),
    Math.max(1, Math.min(settings.threads, shards.length)),
  );
  // Each lane waits for its shard before it makes the next job, so that few are in memory.
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

function planOf(parts: Parts, { side, shorter, encoding, quality, shard }: Settings): Plan {
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

/** The name of image i without its path, which may have been moved. */
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

/** Makes the folder this pack's own. @throws UsageError when it is another's */
async function claim(out: string, plan: Plan): Promise<void> {
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
    // What a kill left half written.
    for (const file of files) if (file.endsWith(".tmp")) rmSync(join(out, file), { force: true });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new DataError(`can't pack into ${out}: ${reason(error)}`, { cause: error });
  }
  if (!existsSync(path)) await replaceFile(path, (append) => append(Buffer.from(text)));
}

async function jobOf(set: Dataset, { path, from, to }: Planned, settings: Settings): Promise<PackJob> {
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
  problems: readonly Problem[],
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
