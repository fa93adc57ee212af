/** Sets made on the spot, and the errors of those that can't be used. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dataset } from "../../src/data/dataset.ts";
import type { Opened } from "../../src/data/open.ts";
import { DataError } from "../../src/errors.ts";
import { writeFiles, type Files } from "./folders.ts";

/** Writes numbered folders and files below `root`. */
export function maker(root: string) {
  let made = 0;
  return {
    async folder(files: Files): Promise<string> {
      const path = join(root, `set${made++}`);
      await writeFiles(path, files);
      return path;
    },
    file(bytes: Uint8Array | string, ending = ".tar"): string {
      const path = join(root, `set${made++}${ending}`);
      writeFileSync(path, bytes);
      return path;
    },
  };
}

/** The DataError that it ends with. */
export async function complaint(opening: Promise<unknown>): Promise<string> {
  try {
    await opening;
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
  return "no complaint";
}

/** "class: path below the set" of every image. */
export const list = (set: Dataset, base: string) =>
  Array.from({ length: set.length }, (_, i) => `${set.classes[set.label(i)]}: ${set.nameOf(i).slice(base.length + 1)}`);

/** "count kind: path below the set" of what was left alone. */
export const left = ({ remarks }: Opened, base: string) =>
  remarks.map(({ count, kind, example }) => `${count} ${kind}: ${example.slice(base.length + 1)}`);

/** The bytes of image i as `read` gives them and as they lie on disk, which have to be the same. */
export async function bytesOf(set: Dataset, i: number): Promise<Buffer> {
  const image = await set.read(i);
  if (image.kind !== "encoded") throw new Error(`${set.nameOf(i)}: pixels`);
  const place = set.place?.(i);
  if (place) {
    const whole = Bun.file(place.path);
    const end = place.length === undefined ? whole.size : place.offset + place.length;
    const there = Buffer.from(await whole.slice(place.offset, end).arrayBuffer());
    if (!there.equals(image.bytes)) throw new Error(`${set.nameOf(i)}: other bytes at ${JSON.stringify(place)}`);
  }
  return Buffer.from(image.bytes);
}
