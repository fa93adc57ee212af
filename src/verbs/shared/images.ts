/** Images named on the command line: files, folders, and standard input. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Encoded } from "../../data/dataset.ts";
import { BadImage, decodeRecord } from "../../data/decode.ts";
import type { DecodeResult } from "../../data/decode_worker.ts";
import { decodeRows } from "../../data/decoding.ts";
import { openFolder } from "../../data/folder.ts";
import { imagesAmong } from "../../data/listing.ts";
import { readImage } from "../../data/open.ts";
import { Reader } from "../../data/reading.ts";
import { Remarks, type Remark } from "../../data/remarks.ts";
import { classNames } from "../../data/sources/synsets.ts";
import { DataError, UsageError } from "../../errors.ts";
import type { FileRange } from "../../io/bytes.ts";
import type { Network, ResizeFilter } from "../../net/recipe.ts";
import { reason, specialKind, isUrl, NOT_FETCHED } from "../../io/files.ts";
import type { Raster } from "../../pictures/pixels.ts";
import { command } from "../../program.ts";
import { rule } from "../../rules.ts";
import { parsed } from "../../schema.ts";
import { drawable } from "./thumbnails.ts";

/** An option for images: in a program, the bytes of files too. */
export const images = <const S extends object = {}>(help: string, traits?: S) =>
  parsed<readonly (string | Uint8Array)[], S>("any", (words) => words.split(","), help, {
    ...{ name: "image", place: "words", needed: true, rule: IMAGES },
    ...traits,
  } as unknown as S);

const IMAGES = rule(
  (value) => Array.isArray(value) && value.every((each) => typeof each === "string" || each instanceof Uint8Array),
  "an array of paths and of Uint8Arrays with the bytes of files",
);

export interface NamedImage {
  /** A path, "-" for standard input, or "image 2" for the second of those named, if it is given as bytes. */
  readonly name: string;
  /** The image, or why there is none. */
  readonly image: FileRange | Encoded | DataError;
}

const BATCH = 32;
/** The limit for image files holds for pipes too. */
const MAX_PIPED_BYTES = 512 * 2 ** 20;

interface NamedImages {
  readonly images: readonly NamedImage[];
  /** What was ignored in folders. */
  readonly remarks: readonly Remark[];
}

/**
 * Finds the named images and those in named folders, in order; "-" is an image on standard input, and pipes are read to
 * their end. Those that can't be used are included, with the reason.
 * @throws UsageError when nothing is named
 */
export async function findImages(named: readonly (string | Uint8Array)[]): Promise<NamedImages> {
  if (named.length === 0) throw new UsageError(`no image was named: ${command("predict photo.jpg")}`);
  const images: NamedImage[] = [];
  const remarks = new Remarks();
  for (const [i, name] of named.entries()) {
    if (typeof name !== "string") {
      images.push({ name: `image ${i + 1}`, image: { kind: "encoded", bytes: name } });
      continue;
    }
    try {
      images.push(...(await imagesAt(name, remarks)));
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      images.push({ name, image: error });
    }
  }
  return { images, remarks: remarks.list() };
}

/** @throws DataError for a folder without images, or when it can't be read */
async function imagesAt(name: string, remarks: Remarks): Promise<NamedImage[]> {
  if (isUrl(name)) throw new DataError(NOT_FETCHED);
  const found = name === "-" ? undefined : await stat(name).catch(() => undefined);
  // In a shell, <(command) is a pipe.
  const isPiped = name === "-" || (found && specialKind(found));
  if (isPiped) return [{ name, image: { kind: "encoded", bytes: await readPiped(name) } }];
  const names = found?.isDirectory() ? await imagesIn(name, remarks) : [name];
  return names.map((each) => ({ name: each, image: { path: resolve(each), offset: 0 } }));
}

async function imagesIn(folder: string, remarks: Remarks): Promise<string[]> {
  const listing = await openFolder(folder, remarks);
  const files = (await imagesAmong(listing, listing.paths.keys())).map((i) => listing.paths[i]!).sort();
  if (files.length > 0) return files.map((file) => join(folder, file));
  throw new DataError("the folder has no JPEG, PNG or WebP image");
}

/** @throws DataError when it can't be read or is too large */
async function readPiped(path: string): Promise<Uint8Array> {
  const isStdin = path === "-";
  const name = isStdin ? "standard input" : path;
  const stream: AsyncIterable<Uint8Array> = isStdin ? Bun.stdin.stream() : createReadStream(path);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > MAX_PIPED_BYTES)
        throw new DataError(`${name} has more than ${MAX_PIPED_BYTES} bytes, the most that an image may have`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`can't read ${name}: ${reason(error)}`, { cause: error });
  }
  return Buffer.concat(chunks);
}

interface DecodedImages {
  readonly images: readonly NamedImage[];
  /** N × side × side × 3 bytes. */
  readonly pixels: Uint8Array;
  /** Why each image can't be used; undefined for those that can. */
  readonly errors: DecodeResult;
}

/** Decodes images into a network's records, batch by batch. */
export async function* decodeImages(
  images: readonly NamedImage[],
  network: Pick<Network, "record" | "resize">,
): AsyncGenerator<DecodedImages> {
  const { record: side, resize } = network;
  for (let start = 0; start < images.length; start += BATCH) {
    const batch = images.slice(start, start + BATCH);
    const memory = new SharedArrayBuffer(batch.length * side * side * 3);
    yield { images: batch, pixels: new Uint8Array(memory), errors: await decodeAll(batch, side, memory, resize) };
  }
}

async function decodeAll(
  images: readonly NamedImage[],
  side: number,
  records: SharedArrayBuffer,
  resize: ResizeFilter = "bilinear",
): Promise<DecodeResult> {
  const results: DecodeResult = images.map(({ image }) => (image instanceof DataError ? image.message : undefined));
  const rows = images.flatMap(({ image }, row) => (image instanceof DataError ? [] : [{ row, image }]));
  // A single image is decoded here: starting a thread takes longer.
  const decoded =
    images.length === 1 && rows.length === 1
      ? [await decodeAlone(rows[0]!.image, side, new Uint8Array(records), resize)]
      : (await decodeRows(records, side, resize, rows))!;
  for (const [k, { row }] of rows.entries()) results[row] = decoded[k];
  return results;
}

async function decodeAlone(
  image: FileRange | Encoded,
  side: number,
  record: Uint8Array,
  resize: ResizeFilter,
): Promise<string | undefined> {
  const reader = new Reader();
  try {
    await decodeRecord("kind" in image ? image : reader.read(image), side, record, resize);
    return undefined;
  } catch (error) {
    if (error instanceof BadImage) return error.message;
    throw error;
  }
}

/** @returns undefined when the image can't be drawn */
export function thumbnailOfNamed({ image }: NamedImage): Promise<Raster | undefined> {
  return drawable(async () => {
    if (image instanceof DataError) throw image;
    return "kind" in image ? image : readImage(image.path);
  });
}

/** The class that an image's folder is named after, by its name or ImageNet ID; undefined if none. */
export function classOfFolder(name: string, classes: readonly string[]): string | undefined {
  const folder = basename(dirname(resolve(name)));
  const [words] = classNames([folder]);
  // Where two synsets share a name, the ID is appended.
  return [folder, words!, `${words} (${folder})`].find((each) => classes.includes(each));
}
