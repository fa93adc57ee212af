/**
 * Resolves links in a .tar as unpacking would, but only within the archive: outward, broken and circular links are
 * ignored. Of several members with one name, the last counts.
 */
import { DataError } from "../errors.ts";
import type { RemarkKind } from "./remarks.ts";

export interface Index {
  readonly paths: string[];
  /** Offset and size of each member in the archive. */
  readonly starts: number[];
  readonly sizes: number[];
}

export interface TarLink {
  readonly path: string;
  /** A hard link's is a member's path; a symbolic link's is relative to its own folder. */
  readonly target: string;
  readonly isHard: boolean;
  /** Number of files before it in the archive. */
  readonly before: number;
}

/** The index of a file, a link, or a folder. */
type TarNode = number | TarLink | Folder;
type Folder = Map<string, TarNode>;
type Leave = (kind: RemarkKind, path: string) => void;

/** Linux's limit for one path. */
const MAX_FOLLOWED = 40;
/** Limits for folders nested by links, and for the total length of the resulting paths. */
const MAX_NESTED = 256;
const MAX_CHARACTERS = 2 ** 27;

/** A path in an archive without "." and empty components; undefined when it is empty or leads out of the archive. */
export function inArchive(path: string): string | undefined {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 || parts.includes("..") ? undefined : parts.join("/");
}

/**
 * The files of an archive, including those that links name.
 * @param leave called for each link and member that is ignored
 * @throws DataError when links multiply the files beyond the limits
 */
export function resolveLinks(name: string, files: Index, links: readonly TarLink[], leave: Leave): Index {
  const last = new Map(files.paths.map((path, i) => [path, i]));
  if (links.length === 0 && last.size === files.paths.length) return files;
  const names = namesOf(files, links, leave);
  const found: Index = { paths: [], starts: [], sizes: [] };
  const add = (path: string, i: number) => {
    found.paths.push(path);
    found.starts.push(files.starts[i]!);
    found.sizes.push(files.sizes[i]!);
  };
  const tree = new Tree(name, names, add, leave);
  for (const [path, node] of names) {
    if (typeof node === "number") add(path, node);
    else tree.addLink(node);
  }
  return found;
}

/** What each name finally refers to, with hard links resolved where possible. */
function namesOf({ paths }: Index, links: readonly TarLink[], leave: Leave): Map<string, number | TarLink> {
  const names = new Map<string, number | TarLink>();
  const set = (path: string, node: number | TarLink) => {
    // Deleted first, so that the new member goes to the end.
    if (names.delete(path)) leave("replaced member", path);
    names.set(path, node);
  };
  let next = 0;
  const setFiles = (end: number) => {
    for (; next < end; next++) set(paths[next]!, next);
  };
  for (const link of links) {
    setFiles(link.before);
    // A hard link refers to the member before it in the archive, even if that is replaced later.
    const earlier = link.isHard ? names.get(inArchive(link.target) ?? "") : undefined;
    set(link.path, earlier === undefined ? link : sameAt(link.path, earlier));
  }
  setFiles(paths.length);
  const lost: string[] = [];
  for (const [path, node] of names) {
    if (typeof node === "number" || !node.isHard) continue;
    const end = endOf(node, names);
    if (typeof end !== "string") names.set(path, sameAt(path, end));
    else {
      leave(end, path);
      lost.push(path);
    }
  }
  // Only now, because other links may have led to them.
  for (const path of lost) names.delete(path);
  return names;
}

/** The same file or symbolic link under another name. */
function sameAt(path: string, node: number | TarLink): number | TarLink {
  return typeof node === "number" ? node : { ...node, path };
}

/** Follows a chain of hard links. */
function endOf(link: TarLink, names: ReadonlyMap<string, number | TarLink>): number | TarLink | RemarkKind {
  let node: number | TarLink = link;
  for (let followed = 0; typeof node !== "number" && node.isHard; followed++) {
    if (followed === MAX_FOLLOWED) return "circular link";
    const target = inArchive(node.target);
    if (target === undefined) return "outward path";
    const next = names.get(target);
    if (next === undefined) return "dangling link";
    node = next;
  }
  return node;
}

/** The folder tree of an archive, through which symbolic links are followed. */
class Tree {
  readonly #name: string;
  readonly #root: Folder = new Map();
  readonly #parents = new Map<Folder, Folder>();
  readonly #followed = new Map<TarLink, number | Folder | RemarkKind>();
  readonly #add: (path: string, file: number) => void;
  readonly #leave: Leave;
  #characters = 0;

  constructor(
    name: string,
    names: ReadonlyMap<string, number | TarLink>,
    add: (path: string, file: number) => void,
    leave: Leave,
  ) {
    this.#name = name;
    this.#add = add;
    this.#leave = leave;
    const hasSymbolic = [...names.values()].some((node) => typeof node !== "number");
    if (hasSymbolic) for (const [path, node] of names) this.#insert(path, node);
  }

  /** If a file and a folder have the same name, the folder wins. */
  #insert(path: string, node: number | TarLink): void {
    const folder = this.#folderOf(path);
    const name = lastOf(path);
    if (!(folder.get(name) instanceof Map)) folder.set(name, node);
  }

  /** The folder that contains a path, created if needed. */
  #folderOf(path: string): Folder {
    let folder = this.#root;
    for (const part of path.split("/").slice(0, -1)) {
      let next = folder.get(part);
      if (!(next instanceof Map)) {
        next = new Map();
        this.#parents.set(next, folder);
        folder.set(part, next);
      }
      folder = next;
    }
    return folder;
  }

  /** Adds a symbolic link's target: a file, or all files of a folder. */
  addLink(link: TarLink): void {
    const folder = this.#folderOf(link.path);
    if (folder.get(lastOf(link.path)) !== link) return this.#leave("replaced member", link.path);
    const above: Folder[] = [];
    for (let each: Folder | undefined = folder; each; each = this.#parents.get(each)) above.push(each);
    this.#addFound(link.path, link, above);
  }

  /** @param above the enclosing folders, to detect links that lead back up */
  #addFound(path: string, node: TarNode, above: readonly Folder[]): void {
    this.#characters += path.length + 64;
    if (above.length > MAX_NESTED || this.#characters > MAX_CHARACTERS) {
      const advice = "unpack it, and pass the folder";
      throw new DataError(`${this.#name}: its links multiply its files beyond what is allowed: ${advice}`);
    }
    const found = typeof node === "number" || node instanceof Map ? node : this.#follow(node);
    if (typeof found === "number") this.#add(path, found);
    else if (typeof found === "string") this.#leave(found, path);
    else if (above.includes(found)) this.#leave("circular link", path);
    else for (const [name, inner] of found) this.#addFound(`${path}/${name}`, inner, [...above, found]);
  }

  /** A symbolic link's target, or why there is none. @param depth how many links led here */
  #follow(link: TarLink, depth = 0): number | Folder | RemarkKind {
    if (depth > MAX_FOLLOWED) return "circular link";
    const known = this.#followed.get(link);
    if (known !== undefined) return known;
    // In case the lookup comes back here.
    this.#followed.set(link, "circular link");
    const found = this.#lookUp(link, depth);
    this.#followed.set(link, found);
    return found;
  }

  #lookUp({ path, target }: TarLink, depth: number): number | Folder | RemarkKind {
    if (target.startsWith("/")) return "outward path";
    let at: number | Folder = this.#folderOf(path);
    for (const name of target.split("/")) {
      if (name === "" || name === ".") continue;
      if (typeof at === "number") return "dangling link";
      const next: TarNode | undefined = name === ".." ? this.#parents.get(at) : at.get(name);
      if (next === undefined) return name === ".." ? "outward path" : "dangling link";
      const found: number | Folder | RemarkKind =
        typeof next === "number" || next instanceof Map ? next : this.#follow(next, depth + 1);
      if (typeof found === "string") return found;
      at = found;
    }
    return at;
  }
}

const lastOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
