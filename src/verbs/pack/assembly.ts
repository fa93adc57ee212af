/** The end of packing: writes the pack's files from what is known of each shard. */
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { isTolerated, TOLERATED_BAD_SHARE } from "../../data/image.ts";
import {
  FORMAT,
  MAX_PACK_FILE_BYTES,
  MEAN_FILE,
  PACK_FILE,
  parsePack,
  REPORT_FILE,
  toHex,
  type Pack,
  type PackedSplit,
  type PackedShard,
  type PackSplit,
} from "../../data/pack.ts";
import { partialPath, readPartial, type ImageProblem } from "../../data/partial.ts";
import { readShardIndex, type ShardIndex, type Encoding } from "../../data/shard.ts";
import { TotalSums } from "../../data/moments.ts";
import { DataError } from "../../errors.ts";
import { openFile } from "../../io/bytes.ts";
import { writeCsv } from "../../io/csv.ts";
import { reason, replaceFile, readPlainFile } from "../../io/files.ts";
import { toNpy } from "../../io/npy.ts";
import { plural } from "../../words.ts";

/** The images of a pack. */
export interface PackSets {
  readonly train: Dataset;
  readonly val?: Dataset;
}

/** How a pack is made: sides in pixels, JPEG quality from 1 to 100, threads, and images per shard. */
export interface PackSettings {
  readonly side: number;
  readonly shorter: number;
  readonly encoding: Encoding;
  readonly quality: number;
  readonly threads: number;
  readonly shard: number;
}

/** A shard to write: images `from` to `to` − 1 of a split. */
export interface Planned {
  readonly part: PackSplit;
  readonly file: string;
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Writes report.csv, the mean image and, last, pack.json.
 * @returns the problems in the report
 * @throws DataError when too many images can't be used; the report says which
 */
export async function assemble(
  out: string,
  parts: PackSets,
  { side, shorter, encoding, quality }: PackSettings,
  shards: readonly Planned[],
): Promise<ImageProblem[]> {
  const { classes, name: source } = parts.train;
  const sums = new TotalSums(side);
  const pictures = new Pictures(classes);
  const problems: ImageProblem[] = [];
  const made = { train: new SplitCounts(classes.length), val: new SplitCounts(classes.length) };
  for (const { part, path, file } of shards) {
    const index = await indexOf(path);
    const partial = readPartial(path, side);
    if (part === "train") sums.add(partial);
    problems.push(...partial.problems, ...pictures.add(index));
    made[part].add(file, index);
  }
  // Skipped images first, otherwise in the order of the set.
  problems.sort((a, b) => Number(a.used) - Number(b.used));
  const rows = problems.map(({ name, problem, used }) => [name, used ? "yes" : "no", problem]);
  await writeCsv(join(out, REPORT_FILE), ["file", "packed", "problem"], rows);
  const images = parts.train.length + (parts.val?.length ?? 0);
  requireMostly(out, problems, images, made.train.part().images);
  const { mean, ...statistics } = sums.statistics();
  await replaceFile(join(out, MEAN_FILE), (append) => append(toNpy(mean, [side, side, 3])));
  const pack: Pack = {
    ...{ format: FORMAT, source, side, shorter, encoding, quality: encoding === "jpeg" ? quality : null, classes },
    parts: { train: made.train.part(), val: parts.val ? made.val.part() : null },
    statistics,
  };
  await replaceFile(join(out, PACK_FILE), (append) => append(Buffer.from(`${JSON.stringify(pack, undefined, 1)}\n`)));
  removePartials(shards);
  return problems;
}

/** Removes the files that are only needed until the pack is complete. */
export function removePartials(shards: readonly Planned[]): void {
  for (const { path } of shards) rmSync(partialPath(path), { force: true });
}

class SplitCounts {
  readonly #shards: PackedShard[] = [];
  readonly #classCounts: number[];

  constructor(classes: number) {
    this.#classCounts = new Array<number>(classes).fill(0);
  }

  add(file: string, { images, labels, checksum }: ShardIndex): void {
    this.#shards.push({ file, images, checksum: toHex(checksum) });
    for (const label of labels) this.#classCounts[label]!++;
  }

  part(): PackedSplit {
    const images = this.#shards.reduce((sum, shard) => sum + shard.images, 0);
    return { images, classCounts: this.#classCounts, shards: this.#shards };
  }
}

/** Finds identical pictures in different classes, one of which must be mislabelled. */
class Pictures {
  readonly #classes: readonly string[];
  readonly #seen = new Map<bigint, { readonly name: string; readonly label: number }>();

  constructor(classes: readonly string[]) {
    this.#classes = classes;
  }

  add({ hashes, labels, names }: ShardIndex): ImageProblem[] {
    const problems: ImageProblem[] = [];
    names().forEach((name, k) => {
      const [hash, label] = [hashes[k]!, labels[k]!];
      const other = this.#seen.get(hash);
      if (!other) this.#seen.set(hash, { name, label });
      else if (other.label !== label) {
        const [here, there] = [this.#classes[label], this.#classes[other.label]];
        problems.push({
          name,
          problem: `the picture of class "${here}" is the same as ${other.name} of class "${there}"`,
          used: true,
        });
      }
    });
    return problems;
  }
}

async function indexOf(path: string): Promise<ShardIndex> {
  await using file = await openFile(path);
  return await readShardIndex(file);
}

function requireMostly(out: string, problems: readonly ImageProblem[], images: number, trained: number): void {
  const bad = problems.filter(({ used }) => !used);
  // Without a training image there is no mean image.
  if (trained > 0 && isTolerated(bad.length, images)) return;
  throw new DataError(
    `${bad.length} of ${plural(images, "image")} can't be used, first ${bad[0]!.name}: ${bad[0]!.problem}: ` +
      `at most ${100 * TOLERATED_BAD_SHARE}% may be skipped: repair or remove those listed in ${join(out, REPORT_FILE)}, ` +
      `delete ${out}, and pack again`,
  );
}

/** @throws DataError when it is missing or damaged */
export async function readPack(out: string): Promise<Pack> {
  const path = join(out, PACK_FILE);
  let text: string;
  try {
    text = readPlainFile(path, MAX_PACK_FILE_BYTES).toString("utf8");
  } catch (error) {
    throw new DataError(`can't read ${path}: ${reason(error)}`, { cause: error });
  }
  return parsePack(text, path);
}

/** Total size of all shards in bytes. @throws DataError when one is missing */
export function packSize(out: string, { train, val }: Pack["parts"]): number {
  return [...train.shards, ...(val?.shards ?? [])].reduce((sum, { file }) => {
    const found = lstatSync(join(out, file), { throwIfNoEntry: false });
    if (!found) throw new DataError(`${out} lacks ${file}, which ${PACK_FILE} names: delete ${out} and pack again`);
    return sum + found.size;
  }, 0);
}
