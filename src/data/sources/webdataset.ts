/**
 * WebDataset: .tar shards in which an image KEY.jpg has its class in KEY.cls (a number) or KEY.json. One shard, or a
 * folder of them; which part a shard belongs to, its folder or its name says (train-0000.tar, val/0000.tar).
 * https://github.com/webdataset/webdataset
 */
import { DataError } from "../../errors.ts";
import { descend, descendAll } from "../archive.ts";
import { HIDDEN, IMAGE_ENDING, joined, type Contents, type Listing } from "../listing.ts";
import { byBytes, inParts, PARTS, type Part } from "./classes.ts";
import { namesBeside, numberLabels, parseLabel, type Label } from "./shard_labels.ts";
import type { Source } from "./source.ts";

const MAX_LABEL_BYTES = 64 * 1024;
/** Labels that are read at once: each is a short read, most of which is waiting. */
const AT_ONCE = 64;

export const webdataset: Source = {
  async openListing(listing, progress) {
    const { paths } = listing;
    if (await isShard(listing)) return arrangeShards(listing, listing, () => undefined);
    const shards = Array.from(paths.keys()).filter((i) => paths[i]!.endsWith(".tar") && !HIDDEN.test(paths[i]!));
    if (shards.length === 0 || paths.some((path) => IMAGE_ENDING.test(path))) return undefined;
    shards.sort((a, b) => byBytes(paths[a]!, paths[b]!));
    const first = await descend(listing, shards[0]!);
    if (!(await isShard(first))) return undefined;
    const all = [first, ...(await descendAll(listing, shards.slice(1), progress))];
    const named = all.map((files, k) => [paths[shards[k]!]!, files] as const);
    return arrangeShards(listing, joined(listing, named), partOf);
  },
};

/** Whether images have labels beside them, of which the first can be made use of. */
async function isShard(listing: Listing): Promise<boolean> {
  if (listing.depth === 0) return false;
  const [first] = samplesOf(listing).samples;
  if (!first) return false;
  return first.cls !== undefined || (await readLabel(listing, first.json!).catch(() => undefined)) !== undefined;
}

interface Sample {
  readonly image: number;
  readonly cls: number | undefined;
  readonly json: number | undefined;
}

/** Images with a label. A sample's files have the same path up to the first dot of their name. */
function samplesOf({ paths }: Listing): { readonly samples: readonly Sample[]; readonly ignored: number } {
  const keyOf = (path: string) => path.slice(0, path.indexOf(".", path.lastIndexOf("/") + 1));
  const labels = { cls: new Map<string, number>(), json: new Map<string, number>() };
  const images: number[] = [];
  paths.forEach((path, i) => {
    if (HIDDEN.test(path)) return;
    if (IMAGE_ENDING.test(path)) images.push(i);
    else if (path.endsWith(".cls")) labels.cls.set(keyOf(path), i);
    else if (path.endsWith(".json")) labels.json.set(keyOf(path), i);
  });
  const samples = images
    .map((image) => ({ image, key: keyOf(paths[image]!) }))
    .map(({ image, key }) => ({ image, cls: labels.cls.get(key), json: labels.json.get(key) }))
    .filter(({ cls, json }) => cls !== undefined || json !== undefined);
  return { samples, ignored: images.length - samples.length };
}

async function arrangeShards(
  outer: Listing,
  files: Listing,
  part: (path: string) => Part | undefined,
): Promise<Contents> {
  const { samples, ignored } = samplesOf(files);
  const names = await namesBeside(outer);
  const labels: Label[] = [];
  const named = new Set<number>();
  for (let at = 0; at < samples.length; at += AT_ONCE) {
    const some = samples.slice(at, at + AT_ONCE);
    const read = await Promise.all(some.map(({ cls, json }) => requireLabel(files, (cls ?? json)!)));
    for (const [k, label] of read.entries()) {
      const { cls, json } = some[k]!;
      // A number's name is in the other file, and that of one image is enough.
      const lacksName = !names && label.number !== undefined && !named.has(label.number);
      const other = lacksName && cls !== undefined && json !== undefined ? await readLabel(files, json) : undefined;
      if (label.number !== undefined) named.add(label.number);
      labels.push(other?.name !== undefined ? { ...label, name: other.name } : label);
    }
  }
  const where = (k: number) => `${files.name}/${files.paths[(samples[k]!.cls ?? samples[k]!.json)!]}`;
  const numbered = numberLabels(labels, names, where);
  const parts = samples.map(({ image }) => part(files.paths[image]!));
  const lost = parts.indexOf(undefined);
  if (lost >= 0 && parts.some((own) => own !== undefined)) {
    const path = `${files.name}/${files.paths[samples[lost]!.image]}`;
    throw new DataError(`${path} is in no part, and others are: name its shard train-… or val-…, or move it there`);
  }
  const indices = samples.map(({ image }) => image);
  return inParts(files, { name: outer.name, ...numbered, indices, parts, ignored });
}

/** From the shard's folders or name: the first word of those that parts are called. */
function partOf(path: string): Part | undefined {
  const shard = path.slice(0, path.indexOf(".tar"));
  for (const word of shard.toLowerCase().split(/[^a-z]+/)) if (Object.hasOwn(PARTS, word)) return PARTS[word];
  return undefined;
}

async function requireLabel(files: Listing, i: number): Promise<Label> {
  const label = await readLabel(files, i);
  if (label) return label;
  throw new DataError(`${files.name}/${files.paths[i]} has no "label", "cls" or "class" of text or a whole number`);
}

async function readLabel(files: Listing, i: number): Promise<Label | undefined> {
  const name = `${files.name}/${files.paths[i]}`;
  const bytes = await files.head(i, MAX_LABEL_BYTES + 1);
  if (bytes.length > MAX_LABEL_BYTES)
    throw new DataError(`${name} has more than ${MAX_LABEL_BYTES} bytes: it is no label`);
  return parseLabel(Buffer.from(bytes).toString("utf8"), name);
}
