/** What ranks do together outside of training steps: check that they agree, and start from the same values. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { nameWithin, type Dataset } from "../data/dataset.ts";
import { shareOf, type Share } from "../data/share.ts";
import type { DeviceOptions } from "../devices/open.ts";
import type { Backend } from "../engine/backend.ts";
import { size, type Tensor } from "../engine/tensor.ts";
import { RankError, UsageError } from "../errors.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { trainedState } from "../net/state.ts";
import { option } from "../option_names.ts";
import { installation, ROOT } from "../program.ts";
import { Run } from "../runs/runs.ts";
import type { Ranks } from "./ranks.ts";

/** The images of a batch that a rank gets. @throws UsageError when there are more ranks than images */
export function shareOfBatch(batch: number, { rank, size }: Ranks): Share {
  if (size <= batch) return shareOf(batch, rank, size);
  throw new UsageError(`${option("batch")} ${batch}: ${size} ranks need at least ${size} images a step`);
}

type Facts = Readonly<Record<string, unknown>>;

/**
 * Checks that named facts are the same on all ranks.
 * @throws RankError, on every rank, naming the first fact that differs from rank 0's
 */
export async function agree(ranks: Ranks, facts: () => Facts | Promise<Facts>): Promise<void> {
  if (ranks.size === 1) return;
  const [first, ...others] = await gatherValues(ranks, await facts());
  for (const [i, other] of others.entries()) {
    const name = Object.keys({ ...first, ...other }).find((key) => same(first![key]) !== same(other[key]));
    if (name === undefined) continue;
    const values = `${same(other[name])}, on rank 0 it is ${same(first![name])}`;
    const message =
      `rank ${i + 1} of ${ranks.size} differs from rank 0: ${name} is ${values}: ` +
      `start all ranks with the same program, options and data`;
    throw new RankError(message, ranks.rank !== 0);
  }
}

/** The values of all ranks, through JSON, in the order of ranks. */
export async function gatherValues<T>(ranks: Ranks, own: T): Promise<T[]> {
  const texts = await ranks.gather(new TextEncoder().encode(JSON.stringify(own)));
  return texts.map((text) => JSON.parse(new TextDecoder().decode(text)) as T);
}

/** What the ranks compute on, in words. */
export function describeDevice({ size, mpi }: Ranks, { description }: Backend): string {
  return mpi ? `${size} ranks (${mpi}), each on ${description}` : description;
}

/** The options that must be the same on all ranks, and the program itself. Each rank may use a different device. */
export function settingsOf<T extends DeviceOptions>(options: T): Facts {
  const { device: _, blas: __, threads: ___, tune: ____, ...settings } = options;
  return { program: programHash(), bun: Bun.version, ...settings };
}

/** A hash of every file that training depends on. A package or an executable brings one of all its files. */
function programHash(): string {
  if (installation !== "checkout") return readFileSync(join(ROOT, "build", "hash.txt"), "utf8");
  const files = ["src/**/*.{ts,c,wgsl}", "kernels/**/*.{ts,wgsl}", "bun.lock"].flatMap((pattern) => [
    ...new Bun.Glob(pattern).scanSync(ROOT),
  ]);
  const hash = files.sort().reduce((sum, file) => Bun.hash.xxHash3(readFileSync(join(ROOT, file)), sum), 0n);
  return hash.toString(16);
}

/** A hash of a file's contents. */
export function hashOf(path: string): string {
  return Bun.hash.xxHash3(readFileSync(path)).toString(16);
}

/** The error of a rank that ends because another one was stopped. */
export const stoppedElsewhere = (): RankError => new RankError("another rank was stopped", true);

/** A run whose files are written by another rank. */
export class RunElsewhere extends Run {
  override async writeConfig(): Promise<void> {}
  override async writeImages(): Promise<void> {}
  override async writeStart(): Promise<void> {}
  override async writeConfusion(): Promise<void> {}
  override async rewind(): Promise<void> {}
  override log(): void {}
}

function same(value: unknown): string {
  return value === undefined ? "not given" : JSON.stringify(value);
}

/** How many images, spread over the set, are read for its fingerprint. */
const PROBES = 16;

/** A short fingerprint of a set: its classes, the name and class of every image, and the bytes of some images. */
export async function fingerprint(dataset: Dataset): Promise<string> {
  const { classes, length } = dataset;
  let hash = Bun.hash.xxHash3(classes.join("\n"));
  for (let i = 0; i < length; i++) hash = Bun.hash.xxHash3(`${dataset.label(i)} ${nameWithin(dataset, i)}`, hash);
  for (let k = 0; k < Math.min(PROBES, length); k++) {
    // An image that can't be read is reported when training comes to it.
    const image = await dataset.read(Math.floor((k * length) / PROBES) % length).catch(() => undefined);
    if (image) hash = Bun.hash.xxHash3(image.kind === "pixels" ? image.pixels : image.bytes, hash);
  }
  return `${length} images, ${hash.toString(16)}`;
}

/** Copies the parameters and the optimizer's state of rank 0 to all ranks. */
export async function makeAlike(ranks: Ranks, model: Model, optimizer: Optimizer): Promise<void> {
  if (ranks.size === 1) return;
  for (const tensor of trainedState(model, optimizer)) {
    const values = ranks.rank === 0 ? await tensor.read() : new Float32Array(size(tensor.shape));
    await ranks.broadcast([values]);
    if (ranks.rank !== 0) tensor.write(values);
  }
}

/** Whether these tensors are the same on all ranks, bit for bit. */
export async function areAlike(ranks: Ranks, tensors: readonly Tensor[]): Promise<boolean> {
  if (ranks.size === 1) return true;
  let hash = 0n;
  for (const tensor of tensors) hash = Bun.hash.xxHash3(await tensor.read(), hash);
  const hashes = await ranks.gather(new Uint8Array(BigUint64Array.of(hash).buffer));
  return hashes.every((other) => Buffer.compare(other, hashes[0]!) === 0);
}
