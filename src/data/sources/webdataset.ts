/**
 * WebDataset: .tar shards in which an image KEY.jpg has its class in KEY.cls (a number) or KEY.json. One shard, or a
 * folder of them, whose split is in the folder's or shard's name (train-0000.tar, val/0000.tar).
 * https://github.com/webdataset/webdataset
 */
import { DataError } from "../../errors.ts";
import { descend, descendAll } from "../archive.ts";
import { joined, leave, nameIn, type Contents, type Listing } from "../listing.ts";
import { formatByName } from "../names.ts";
import { byBytes, inSplits } from "./classes.ts";
import { samplesOf } from "./samples.ts";
import { namesBeside, numberLabels, parseLabel, type Label } from "./shard_labels.ts";
import type { ImageSource } from "./source.ts";
import { splitAmong, type Split } from "./splits.ts";

const MAX_LABEL_BYTES = 64 * 1024;
/** Concurrent reads of labels: each is short and mostly waits for the disk. */
const AT_ONCE = 64;

export const webdataset: ImageSource = {
  async openListing(listing, progress) {
    const { paths } = listing;
    if (await isShard(listing)) return arrangeShards(listing, listing, () => undefined);
    const shards = Array.from(paths.keys()).filter((i) => paths[i]!.endsWith(".tar"));
    if (shards.length === 0 || paths.some(formatByName)) return undefined;
    shards.sort((a, b) => byBytes(paths[a]!, paths[b]!));
    const first = await descend(listing, shards[0]!);
    if (!(await isShard(first))) return undefined;
    const all = [first, ...(await descendAll(listing, shards.slice(1), progress))];
    const named = all.map((files, k) => [paths[shards[k]!]!, files] as const);
    return arrangeShards(listing, joined(listing, named), splitOfShard);
  },
};

/** Whether images have labels beside them, the first of which is usable. */
async function isShard(listing: Listing): Promise<boolean> {
  if (listing.depth === 0) return false;
  const [first] = samplesOf(listing);
  if (!first) return false;
  return first.cls !== undefined || (await readLabel(listing, first.json!).catch(() => undefined)) !== undefined;
}

async function arrangeShards(
  outer: Listing,
  files: Listing,
  split: (path: string) => Split | undefined,
): Promise<Contents> {
  const twice = files.remarks.get("replaced member");
  if (twice)
    throw new DataError(`${twice.example} occurs twice, so labels are ambiguous: give each sample a name of its own`);
  const samples = samplesOf(
    files,
    (kind, i) => leave(files, kind, [i]),
    (first, second) => {
      const both = `${nameIn(files, first)} and ${nameIn(files, second)}`;
      throw new DataError(`${both} are images of the same sample: name the one to use .jpg or .png`);
    },
  );
  const names = await namesBeside(outer);
  const labels: Label[] = [];
  const named = new Set<number>();
  for (let at = 0; at < samples.length; at += AT_ONCE) {
    const some = samples.slice(at, at + AT_ONCE);
    const read = await Promise.all(some.map(({ cls, json }) => requireLabel(files, (cls ?? json)!)));
    for (const [k, label] of read.entries()) {
      const { cls, json } = some[k]!;
      // A class's name is in the other file; reading it for one image is enough.
      const lacksName = !names && label.number !== undefined && !named.has(label.number);
      const other = lacksName && cls !== undefined && json !== undefined ? await readLabel(files, json) : undefined;
      if (label.number !== undefined) named.add(label.number);
      labels.push(other?.name !== undefined ? { ...label, name: other.name } : label);
    }
  }
  const where = (k: number) => nameIn(files, (samples[k]!.cls ?? samples[k]!.json)!);
  const numbered = numberLabels(labels, names, where);
  const splits = samples.map(({ image }) => split(files.paths[image]!));
  const lost = splits.indexOf(undefined);
  if (lost >= 0 && splits.some((own) => own !== undefined)) {
    const path = nameIn(files, samples[lost]!.image);
    throw new DataError(`${path} is in no split, but others are: name its shard train-… or val-…, or move it there`);
  }
  const indices = samples.map(({ image }) => image);
  return inSplits(files, { name: outer.name, ...numbered, indices, splits });
}

/** The split named by the shard's folders or name. */
function splitOfShard(path: string): Split | undefined {
  return splitAmong(path.slice(0, path.indexOf(".tar")));
}

async function requireLabel(files: Listing, i: number): Promise<Label> {
  const label = await readLabel(files, i);
  if (label) return label;
  throw new DataError(`${nameIn(files, i)} has no "label", "cls" or "class" that is a string or an integer`);
}

async function readLabel(files: Listing, i: number): Promise<Label | undefined> {
  const name = nameIn(files, i);
  const bytes = await files.head(i, MAX_LABEL_BYTES + 1);
  if (bytes.length > MAX_LABEL_BYTES)
    throw new DataError(`${name} has more than ${MAX_LABEL_BYTES} bytes: it is not a label`);
  return parseLabel(Buffer.from(bytes).toString("utf8"), name);
}
