/** Lists the files below a folder, following links. */
import { open, readdir, realpath, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { openFile, type Bytes } from "../io/bytes.ts";
import { READ_FLAGS, reason, specialKind } from "../io/files.ts";
import type { Listing } from "./listing.ts";
import { escaped, formatByName, isSystemName, spelled } from "./names.ts";
import { Remarks, type RemarkKind } from "./remarks.ts";
import { Unpacking } from "./unpacking.ts";

/** @throws DataError when a folder can't be read; `read` and `head` throw it for a file that can't */
export async function openFolder(root: string, remarks = new Remarks()): Promise<Listing> {
  const paths: string[] = [];
  await walk({ root, paths, remarks }, "", []);
  return filesBelow(root, paths, remarks);
}

/** A listing of given paths below a folder. Whether they exist shows when they are read. */
export function filesBelow(root: string, paths: readonly string[], remarks: Remarks): Listing {
  const opened: Bytes[] = [];
  return {
    name: root,
    remarks,
    unpacking: new Unpacking(),
    paths,
    depth: 0,
    read: (i) => withFile(join(root, paths[i]!), (file) => file.readFile()),
    head: (i, length) =>
      withFile(join(root, paths[i]!), async (file) => {
        const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, 0);
        return buffer.subarray(0, bytesRead);
      }),
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

/**
 * Paths in the spelling of the file system: macOS stores é decomposed (NFD), others as one character (NFC), and a list
 * may come from another system than the files. Paths of missing files are returned unchanged.
 */
export async function asStored(root: string, paths: readonly string[]): Promise<string[]> {
  const listed = new Map<string, Promise<ReadonlyMap<string, string>>>();
  const namesIn = (folder: string) => {
    const known = listed.get(folder) ?? readdir(folder).then(byComposed, () => new Map<string, string>());
    listed.set(folder, known);
    return known;
  };
  const stored: string[] = [];
  for (const path of paths) {
    // Most paths have one spelling only.
    if (path.normalize("NFC") === path.normalize("NFD")) {
      stored.push(path);
      continue;
    }
    const found: string[] = [];
    for (const name of path.split("/")) {
      const names = await namesIn(join(root, ...found));
      found.push(names.get(name) ?? names.get(name.normalize()) ?? name);
    }
    stored.push(found.join("/"));
  }
  return stored;
}

/** Maps each name, and its composed form unless another file has that name, to the name. */
function byComposed(names: readonly string[]): Map<string, string> {
  return new Map([
    ...names.map((name) => [name.normalize(), name] as const),
    ...names.map((name) => [name, name] as const),
  ]);
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, READ_FLAGS);
    const kind = specialKind(await file.stat());
    if (kind) throw new Error(`it is a ${kind}`);
    return await use(file);
  } catch (error) {
    throw new DataError(`can't read ${path}: ${reason(error)}: repair or remove it`, { cause: error });
  } finally {
    await file?.close();
  }
}

/** A file, or undefined where there is none. */
export async function openIfThere(path: string): Promise<Bytes | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? openFile(path) : undefined;
}

interface Walk {
  readonly root: string;
  readonly paths: string[];
  readonly remarks: Remarks;
}

/** @param above the real paths of the enclosing folders, to detect links that lead back up */
async function walk(found: Walk, below: string, above: readonly string[]): Promise<void> {
  const { root, paths, remarks } = found;
  const unreadable = (error: Error) => {
    throw new DataError(`can't read the folder ${join(root, below)}: ${error.message}`, { cause: error });
  };
  const leave = (kind: RemarkKind, path: string) => remarks.add(kind, `${root}/${path}`);
  const pathOf = (name: string) => (below === "" ? name : `${below}/${name}`);
  const here = await realpath(join(root, below)).catch(unreadable);
  if (above.includes(here)) return leave("circular link", below);
  const entries = await readdir(here, { withFileTypes: true }).catch(unreadable);
  const isBroken = ({ name }: { name: string }) => name.includes("\ufffd");
  // A name with replaced bytes can't be used to open the file.
  const bytes = entries.some(isBroken) ? await readdir(here, { encoding: "buffer" }) : [];
  const whole = new Set(bytes.map(spelled));
  for (const name of bytes) if (spelled(name) === undefined) leave("broken name", pathOf(escaped(name)));
  for (const entry of entries) {
    const { name } = entry;
    const path = pathOf(name);
    if (isBroken(entry) && !whole.has(name)) continue;
    if (isSystemName(name)) {
      if (entry.isDirectory() || formatByName(name)) leave("hidden", entry.isDirectory() ? `${path}/` : path);
      continue;
    }
    const target = entry.isFile() || entry.isDirectory() ? entry : await stat(join(root, path)).catch(codeOf);
    if (typeof target === "string") {
      if (target === "ELOOP") leave("circular link", path);
      // A missing image is reported when it can't be read.
      else if (target === "ENOENT" && !formatByName(name)) leave("dangling link", path);
      else paths.push(path);
    } else if (target.isDirectory()) await walk(found, path, [...above, here]);
    else if (target.isFile()) paths.push(path);
    else leave(specialKind(target)!, path);
  }
}

const codeOf = ({ code = "" }: NodeJS.ErrnoException): string => code;
