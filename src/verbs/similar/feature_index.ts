/**
 * A search index of a set: the images' vectors in vectors.npy, and in index.safetensors the sketch that lets `nearest`
 * skip most of them. It is kept in the cache folder for each data set, model and layer, and rebuilt when images,
 * weights or layer have changed.
 */
import { closeSync, existsSync, readSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import type { Backend } from "../../engine/backend.ts";
import { AlexNetError, CheckpointError } from "../../errors.ts";
import { openToRead, reason, requirePlainFolder, sha256OfFile } from "../../io/files.ts";
import { cacheAdvice, ownCacheFolder } from "../../native/cache.ts";
import type { Tap } from "../../net/tap.ts";
import { openSafetensors, writeSafetensors, type Safetensors } from "../../weights/safetensors.ts";
import { vectorsStart, writeVectors, type Vectors } from "../features/features.ts";
import { DIRECTIONS, principalDirections, sketchRows, type Sketch } from "./nearest.ts";

/** Version of the files' contents; older ones are rebuilt. */
const FORMAT = "1";
/** Number of vectors, spread over the set, from which the directions are computed. */
const SAMPLE = 1024;
/** Number of rows sketched at once. */
const ROWS = 1024;

export interface FeatureIndex extends Disposable {
  readonly folder: string;
  readonly sketch: Sketch;
  /** The image of each row; unusable images have none. */
  readonly images: Float32Array;
  /** Whether it already existed. */
  readonly isKept: boolean;
  /** A vector, valid until the next call. @throws AlexNetError when the file can't be read any more */
  read(row: number): Float32Array;
}

interface IndexOptions extends Vectors {
  /** The weights' file. */
  readonly weights: string;
  readonly backend: Backend;
  /** Called before an index is built. */
  readonly begins: (folder: string, images: number, bytes: number) => void;
}

/** Opens the index of a set, and builds it first if needed. @throws DataError, AlexNetError when it can't be written */
export async function openIndex(options: IndexOptions): Promise<FeatureIndex> {
  const { dataset, weights, tap } = options;
  const folder = join(ownCacheFolder("features"), digest(resolve(weights), dataset.name, tap.name).slice(0, 16));
  const print = await fingerprint(dataset, weights, tap);
  const kept = load(folder, print, tap, true);
  if (kept) return kept;
  await build(folder, print, options).catch((error: unknown) => {
    const advice = cacheAdvice(error);
    if (advice === undefined) throw error;
    const said = error instanceof AlexNetError ? error.message : `can't write to ${folder}: ${reason(error)}`;
    throw new AlexNetError(`${said}: ${advice}`, { cause: error });
  });
  const made = load(folder, print, tap, false);
  if (made) return made;
  throw new AlexNetError(
    `${folder} changed while it was written: is another command writing to it? Run this one again`,
  );
}

/** Undefined if there is no index, or it is damaged or out of date. */
function load(folder: string, print: string, { size }: Tap, isKept: boolean): FeatureIndex | undefined {
  const [sketchFile, file] = [join(folder, "index.safetensors"), join(folder, "vectors.npy")];
  if (!existsSync(sketchFile) || !existsSync(file)) return undefined;
  requirePlainFolder(folder);
  using opened = openUndamaged(sketchFile);
  if (opened?.metadata.fingerprint !== print) return undefined;
  const tensor = (name: string) => opened.tensors.get(name)?.read() ?? new Float32Array(0);
  const [basis, coordinates] = [tensor("basis"), tensor("coordinates")];
  const [lengths, rests, images] = [tensor("lengths"), tensor("rests"), tensor("images")];
  const [rows, directions] = [images.length, basis.length / size];
  const room = Number(opened.metadata.room);
  const start = vectorsStart(room, size);
  const isWhole =
    [lengths, rests].every(({ length }) => length === rows) && coordinates.length === rows * directions && rows > 0;
  if (!isWhole || statSync(file).size !== start + 4 * rows * size) return undefined;
  const read = rowReader(file, start, size);
  return { folder, sketch: { directions, size, basis, coordinates, lengths, rests }, images, isKept, ...read };
}

function openUndamaged(file: string): Safetensors | undefined {
  try {
    return openSafetensors(file);
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

async function build(folder: string, print: string, options: IndexOptions): Promise<void> {
  const { dataset, tap, backend, begins, progress, signal } = options;
  const { size } = tap;
  begins(folder, dataset.length, 4 * dataset.length * size);
  const [sketchFile, file] = [join(folder, "index.safetensors"), join(folder, "vectors.npy")];
  // The old sketch would not match the new vectors.
  if (existsSync(sketchFile)) rmSync(sketchFile);
  const images: number[] = [];
  await writeVectors(file, options, (index) => images.push(index));
  const rows = images.length;
  using reader = rowReader(file, vectorsStart(dataset.length, size), size);
  const sampled = Math.min(SAMPLE, rows);
  const sample = new Float32Array(sampled * size);
  for (let k = 0; k < sampled; k++) sample.set(reader.read(Math.floor((k * rows) / sampled)), k * size);
  const basis = await principalDirections(backend, sample, size);
  const directions = basis.length / size;
  const coordinates = new Float32Array(rows * directions);
  const [lengths, rests] = [new Float32Array(rows), new Float32Array(rows)];
  for (let first = 0; first < rows; first += ROWS) {
    signal.throwIfAborted();
    const some = new Float32Array(Math.min(ROWS, rows - first) * size);
    for (let at = 0; at < some.length; at += size) some.set(reader.read(first + at / size), at);
    const part = await sketchRows(backend, some, basis, size);
    coordinates.set(part.coordinates, first * directions);
    lengths.set(part.lengths, first);
    rests.set(part.rests, first);
    progress("index", first, rows, "images");
  }
  const tensor = (name: string, shape: readonly number[], values: Float32Array) => ({
    ...{ name, shape },
    read: async () => values,
  });
  const tensors = [
    tensor("basis", [directions, size], basis),
    tensor("coordinates", [rows, directions], coordinates),
    tensor("lengths", [rows], lengths),
    tensor("rests", [rows], rests),
    tensor("images", [rows], Float32Array.from(images)),
  ];
  await writeSafetensors(sketchFile, tensors, { fingerprint: print, room: String(dataset.length) });
}

function rowReader(path: string, start: number, size: number): Pick<FeatureIndex, "read"> & Disposable {
  const file = openToRead(path);
  const row = new Float32Array(size);
  const bytes = new Uint8Array(row.buffer);
  return {
    read(number) {
      const position = start + number * bytes.length;
      try {
        for (let done = 0; done < bytes.length;) {
          const read = readSync(file, bytes, done, bytes.length - done, position + done);
          if (read === 0) throw new Error(`it ends before row ${number}`);
          done += read;
        }
      } catch (error) {
        throw new AlexNetError(`can't read ${path}: ${reason(error)}`, { cause: error });
      }
      return row;
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

/**
 * A hash of all that the vectors depend on: weights, and each image's name, class, location, size and time; its contents
 * if it is in memory, as those of compressed archives are.
 */
async function fingerprint(dataset: Dataset, weights: string, tap: Tap): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(`${FORMAT} ${tap.count} ${tap.size} ${DIRECTIONS} ${sha256OfFile(weights)}\n`);
  const files = new Map<string, string>();
  const ageOf = (path: string) => {
    let age = files.get(path);
    if (age === undefined) {
      const found = statSync(path, { throwIfNoEntry: false });
      files.set(path, (age = found ? `${found.size} ${found.mtimeMs}` : "gone"));
    }
    return age;
  };
  for (let i = 0; i < dataset.length; i++) {
    const place = dataset.place?.(i);
    const { path = "", offset = 0, length = 0 } = place ?? {};
    const own = [dataset.nameOf(i), dataset.label(i), path, offset, length, path === "" ? "" : ageOf(path)];
    hash.update(JSON.stringify(own));
    // The sets of pixels of one size (CIFAR, the built-in one) stay as they are.
    if (place || dataset.imageSize !== undefined) continue;
    const image = await dataset.read(i);
    hash.update(image.kind === "pixels" ? image.pixels : image.bytes);
  }
  return hash.digest("hex");
}

function digest(...words: readonly string[]): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(words)).digest("hex");
}
