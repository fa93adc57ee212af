/** Packs written by `bun run pack`. */
import { DataError } from "../../errors.ts";
import { readText, readWhole, type Bytes, type FileRange } from "../../io/bytes.ts";
import { fromNpy } from "../../io/npy.ts";
import { command } from "../../program.ts";
import type { Dataset, Encoded, Pixels, Statistics } from "../dataset.ts";
import { holderOf, type Listing } from "../listing.ts";
import { MAX_PACK_FILE_BYTES, MEAN_FILE, PACK_FILE, parsePack, toHex, type Pack, type PackSplit } from "../pack.ts";
import { verify } from "../reading.ts";
import { readShardIndex, type ShardIndex } from "../shard.ts";
import type { ImageSource } from "./source.ts";

export const packed: ImageSource = {
  async openListing(listing) {
    const at = listing.paths.indexOf(PACK_FILE);
    if (at < 0) return undefined;
    const text = await withFile(listing, at, (file) => readText(file, MAX_PACK_FILE_BYTES));
    const pack = parsePack(text, `${listing.name}/${PACK_FILE}`);
    const statistics = await readStatistics(listing, pack);
    const train = { ...(await openSplit(listing, pack, "train")), statistics };
    return pack.parts.val === null ? { all: train } : { train, val: await openSplit(listing, pack, "val") };
  },
};

async function readStatistics(listing: Listing, { side, statistics }: Pack): Promise<Statistics> {
  const at = find(listing, MEAN_FILE);
  const bytes = await withFile(listing, at, (file) => readWhole(file, 4 * side * side * 3 + 1024));
  return { ...statistics, mean: fromNpy(bytes, [side, side, 3], `${listing.name}/${MEAN_FILE}`) };
}

function find({ name, paths }: Listing, file: string): number {
  const at = paths.indexOf(file);
  if (at < 0) throw new DataError(`${name} lacks ${file}, which ${PACK_FILE} names: run \`${command("pack")}\` again`);
  return at;
}

/** A shard: the index of its file, its own index, and the position of its first image in the split. */
interface OpenedShard {
  readonly at: number;
  readonly index: ShardIndex;
  readonly first: number;
}

async function openSplit(listing: Listing, pack: Pack, name: PackSplit): Promise<Dataset> {
  const { side, classes, encoding } = pack;
  const { shards } = pack.parts[name]!;
  const opened: OpenedShard[] = [];
  let images = 0;
  for (const { file: path, images: count, checksum } of shards) {
    const at = find(listing, path);
    const index = await withFile(listing, at, readShardIndex);
    const isOwn = index.images === count && index.side === side && index.encoding === encoding;
    if (!isOwn || toHex(index.checksum) !== checksum) {
      throw new DataError(
        `${listing.name}/${path} does not match its entry in ${PACK_FILE}: run \`${command("pack")}\` again`,
      );
    }
    const unknown = index.labels.find((label) => label >= classes.length);
    if (unknown !== undefined) {
      throw new DataError(`${listing.name}/${path}: class ${unknown}, but there are ${classes.length}: pack again`);
    }
    opened.push({ at, index, first: images });
    images += count;
  }
  const labels = new Uint32Array(images);
  for (const { index, first } of opened) labels.set(index.labels, first);
  const firsts = opened.map((shard) => shard.first);
  const locate = (i: number) => {
    const shard = opened[holderOf(firsts, i)]!;
    return { ...shard, k: i - shard.first };
  };
  const place = (i: number): FileRange => {
    const { at, index, k } = locate(i);
    const { path, offset } = listing.place!(at);
    return {
      ...{ path, offset: offset + index.offsets[k]!, length: index.lengths[k]!, hash: index.hashes[k]! },
      ...(encoding === "raw" && { rawSide: side }),
    };
  };
  return {
    name: `${listing.name}${pack.parts.val === null ? "" : ` (${name})`}`,
    classes,
    length: images,
    ...(encoding === "raw" && { imageSize: side }),
    label: (i) => labels[i]!,
    nameOf(i) {
      const { index, k } = locate(i);
      return index.names()[k] ?? `image ${i}`;
    },
    async read(i): Promise<Encoded | Pixels> {
      const { at, index, k } = locate(i);
      const bytes = await withFile(listing, at, (file) => file.read(index.offsets[k]!, index.lengths[k]!));
      verify(bytes, index.hashes[k]!);
      return encoding === "raw"
        ? { kind: "pixels", pixels: bytes, width: side, height: side }
        : { kind: "encoded", bytes };
    },
    ...(listing.place && { place }),
    close: () => listing.close(),
  };
}

/** Opens a file only briefly: a pack may have more shards than a process can hold open. */
async function withFile<T>(listing: Listing, at: number, use: (file: Bytes) => Promise<T>): Promise<T> {
  const file = await listing.open(at);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
