/** The files below a folder, links followed. */
import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { openFile, type Bytes } from "./bytes.ts";
import type { Listing } from "./listing.ts";

/** @throws DataError when a folder can't be read. `head` throws it for a file that can't. */
export async function openFolder(root: string): Promise<Listing> {
  const paths: string[] = [];
  await walk(root, "", [], paths);
  return filesBelow(root, paths);
}

/** Some files below a folder, by their paths. Whether they are there shows when they are read. */
export function filesBelow(root: string, paths: readonly string[]): Listing {
  const opened: Bytes[] = [];
  return {
    name: root,
    paths,
    depth: 0,
    read: (i) => readFile(join(root, paths[i]!)),
    async head(i, length) {
      const path = join(root, paths[i]!);
      const file = await open(path).catch((error: Error) => {
        throw new DataError(`can't read ${path}: ${error.message}: repair or remove it`, { cause: error });
      });
      try {
        const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, 0);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    async open(i) {
      const file = await openFile(join(root, paths[i]!));
      opened.push(file);
      return file;
    },
    place: (i) => ({ path: join(root, paths[i]!), offset: 0 }),
    beside: (path) => openIfThere(join(root, "..", path)),
    close: async () => {
      for (const file of opened) await file.close();
    },
  };
}

/** A file, or undefined where there is none. */
export async function openIfThere(path: string): Promise<Bytes | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? openFile(path) : undefined;
}

/** @param above the real paths of the folders that this one is in, to end where a link leads back up */
async function walk(root: string, below: string, above: readonly string[], paths: string[]): Promise<void> {
  const unreadable = (error: Error) => {
    throw new DataError(`can't read the folder ${join(root, below)}: ${error.message}`, { cause: error });
  };
  const here = await realpath(join(root, below)).catch(unreadable);
  if (above.includes(here)) return;
  const entries = await readdir(here, { withFileTypes: true }).catch(unreadable);
  for (const entry of entries) {
    // Hidden files and folders (.DS_Store, .ipynb_checkpoints) are no part of a data set.
    if (entry.name.startsWith(".")) continue;
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    // A link to nowhere is left to be named when its image can't be read.
    const target = entry.isSymbolicLink() ? await stat(join(root, path)).catch(() => undefined) : entry;
    if (target?.isDirectory()) await walk(root, path, [...above, here], paths);
    // Opening a pipe would wait for somebody to write to it.
    else if (!target || target.isFile()) paths.push(path);
  }
}
