/**
 * Shards: a file of a few hundred or thousand packed images, followed by an index and a trailer of 48 bytes. Everything
 * is little-endian.
 *
 *   images     JPEG files, or side × side × 3 bytes each
 *   index      for each image: length in bytes (u32), class (u32), XXH3 of its bytes (u64)
 *   names      where each image came from, UTF-8, separated by zero bytes
 *   trailer    "ALXSHARD", version (u32), images (u32), side (u32), encoding (u32), offset of the index (u64), size of
 *              the names in bytes (u32), unused (u32), XXH3 of everything from the index to here (u64)
 *
 * A shard is written under another name and renamed, so that it is either complete or absent.
 */
import { DataError } from "../errors.ts";
import { command } from "../program.ts";

export type Encoding = "raw" | "jpeg";
/** By their number in the trailer. */
const ENCODINGS: readonly Encoding[] = ["raw", "jpeg"];

const MAGIC = "ALXSHARD";
const VERSION = 1;
const TRAILER_BYTES = 48;
const ENTRY_BYTES = 16;

interface ShardImage {
  readonly bytes: Uint8Array;
  readonly label: number;
  readonly name: string;
}

export interface ShardIndex {
  readonly side: number;
  readonly encoding: Encoding;
  readonly images: number;
  /** XXH3 of index and trailer, which identifies the shard. */
  readonly checksum: bigint;
  /** Offset and length of each image in bytes. */
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
  readonly labels: Uint32Array;
  readonly hashes: BigUint64Array;
  /** Where each image came from. */
  names(): string[];
}

/** Writes a shard through `append`. */
export class ShardWriter {
  readonly #append: (bytes: Uint8Array) => void;
  readonly #side: number;
  readonly #encoding: Encoding;
  readonly #entries: { readonly length: number; readonly label: number; readonly hash: bigint }[] = [];
  readonly #names: string[] = [];
  #bytes = 0;

  constructor(append: (bytes: Uint8Array) => void, side: number, encoding: Encoding) {
    this.#append = append;
    this.#side = side;
    this.#encoding = encoding;
  }

  add({ bytes, label, name }: ShardImage): void {
    this.#append(bytes);
    this.#entries.push({ length: bytes.length, label, hash: Bun.hash.xxHash3(bytes) });
    this.#names.push(name.replaceAll("\0", "�"));
    this.#bytes += bytes.length;
  }

  /** Writes the index and the trailer. */
  end(): void {
    const names = Buffer.from(this.#names.join("\0"));
    const namesAt = ENTRY_BYTES * this.#entries.length;
    const rest = Buffer.alloc(namesAt + names.length + TRAILER_BYTES);
    this.#entries.forEach(({ length, label, hash }, i) => {
      rest.writeUInt32LE(length, ENTRY_BYTES * i);
      rest.writeUInt32LE(label, ENTRY_BYTES * i + 4);
      rest.writeBigUInt64LE(hash, ENTRY_BYTES * i + 8);
    });
    names.copy(rest, namesAt);
    const at = namesAt + names.length;
    rest.write(MAGIC, at, "latin1");
    [VERSION, this.#entries.length, this.#side, ENCODINGS.indexOf(this.#encoding)].forEach((value, k) =>
      rest.writeUInt32LE(value, at + 8 + 4 * k),
    );
    rest.writeBigUInt64LE(BigInt(this.#bytes), at + 24);
    rest.writeUInt32LE(names.length, at + 32);
    const hashed = rest.length - 8;
    rest.writeBigUInt64LE(Bun.hash.xxHash3(rest.subarray(0, hashed)), hashed);
    this.#append(rest);
  }
}

/** Random access to a shard. */
interface ShardFile {
  readonly name: string;
  readonly size: number;
  read(at: number, length: number): Promise<Uint8Array>;
}

/** @throws DataError when it isn't a shard, or its index or trailer is damaged; images are checked when read */
export async function readShardIndex(file: ShardFile): Promise<ShardIndex> {
  const { name, size } = file;
  const damaged = (what: string) =>
    new DataError(`${name} is damaged: ${what}: delete it and run \`${command("pack")}\` again`);
  if (size < TRAILER_BYTES) throw damaged(`it has ${size} bytes, but a shard has at least ${TRAILER_BYTES}`);
  const trailer = view(await file.read(size - TRAILER_BYTES, TRAILER_BYTES));
  if (trailer.toString("latin1", 0, 8) !== MAGIC) throw damaged(`no "${MAGIC}" at byte ${size - TRAILER_BYTES}`);
  const [version, images, side, encoding] = [0, 1, 2, 3].map((k) => trailer.readUInt32LE(8 + 4 * k)) as Four;
  if (version !== VERSION) {
    throw new DataError(`${name} is a shard of version ${version}, but this program reads ${VERSION}: pack again`);
  }
  const indexAt = Number(trailer.readBigUInt64LE(24));
  const namesBytes = trailer.readUInt32LE(32);
  // The sizes must add up before any memory is allocated for them.
  if (indexAt + ENTRY_BYTES * images + namesBytes + TRAILER_BYTES !== size || ENCODINGS[encoding] === undefined) {
    throw damaged(
      `the trailer at byte ${size - TRAILER_BYTES} claims ${images} images and an index at byte ${indexAt}`,
    );
  }
  const rest = view(await file.read(indexAt, size - indexAt));
  const checksum = rest.readBigUInt64LE(rest.length - 8);
  if (Bun.hash.xxHash3(rest.subarray(0, -8)) !== checksum) {
    throw damaged(`the checksum of its index at byte ${indexAt} does not match`);
  }
  const index = {
    ...{ side, images, checksum, encoding: ENCODINGS[encoding]! },
    offsets: new Float64Array(images),
    lengths: new Uint32Array(images),
    labels: new Uint32Array(images),
    hashes: new BigUint64Array(images),
  };
  let at = 0;
  for (let i = 0; i < images; i++) {
    index.offsets[i] = at;
    index.lengths[i] = rest.readUInt32LE(ENTRY_BYTES * i);
    index.labels[i] = rest.readUInt32LE(ENTRY_BYTES * i + 4);
    index.hashes[i] = rest.readBigUInt64LE(ENTRY_BYTES * i + 8);
    at += index.lengths[i]!;
    if (encoding === 0 && index.lengths[i] !== side * side * 3) {
      throw damaged(`image ${i} has ${index.lengths[i]} bytes instead of ${side * side * 3}`);
    }
  }
  if (at !== indexAt) throw damaged(`its images have ${at} bytes, but its index begins at byte ${indexAt}`);
  // Copy, so that the index can be freed.
  const names = Buffer.from(rest.subarray(ENTRY_BYTES * images, ENTRY_BYTES * images + namesBytes));
  return { ...index, names: () => names.toString("utf8").split("\0") };
}

type Four = [number, number, number, number];

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
