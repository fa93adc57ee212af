/**
 * The links of a .tar, as unpacking would resolve them, but only to members of the same archive: a link that leads
 * elsewhere, to nothing or in a circle is left alone. Where several members have one name, the last one counts.
 */
import { DataError } from "../errors.ts";
import type { RemarkKind } from "./remarks.ts";

export interface Index {
  readonly paths: string[];
  /** Where in the archive a member's bytes begin, and how many there are. */
  readonly starts: number[];
  readonly sizes: number[];
}

export interface Link {
  readonly path: string;
  /** Of a hard link a member's path, of a symbolic one a path from the link's folder on. */
  readonly target: string;
  readonly isHard: boolean;
  /** How many files stand before it in the archive. */
  readonly before: number;
}

/** The number of a file, a link, or a folder. */
type Node = number | Link | Folder;
type Folder = Map<string, Node>;
type Leave = (kind: RemarkKind, path: string) => void;

/** As many as Linux follows for one path. */
const MAX_FOLLOWED = 40;
/** How deep folders may lie in one another by way of links, and how many characters their files' paths may have. */
const MAX_NESTED = 256;
const MAX_CHARACTERS = 2 ** 27;

/** A path in an archive, without "." and empty parts; undefined when it leads out of it, or is none. */
export function inArchive(path: string): string | undefined {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 || parts.includes("..") ? undefined : parts.join("/");
}

/**
 * The files of an archive with those that links name.
 * @param leave is told of each link and member that is left alone
 * @throws DataError when links make far more files than there are members
 */
export function resolveLinks(name: string, files: Index, links: readonly Link[], leave: Leave): Index {
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

/** What each name stands for in the end. Hard links are resolved, as far as they can be. */
function namesOf({ paths }: Index, links: readonly Link[], leave: Leave): Map<string, number | Link> {
  const names = new Map<string, number | Link>();
  const set = (path: string, node: number | Link) => {
    // Behind what came in between, as its bytes are.
    if (names.delete(path)) leave("replaced member", path);
    names.set(path, node);
  };
  let next = 0;
  const setFiles = (end: number) => {
    for (; next < end; next++) set(paths[next]!, next);
  };
  for (const link of links) {
    setFiles(link.before);
    // A hard link names what stands before it in the archive, whatever replaces that later.
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
  // Only now, for others may have led to them.
  for (const path of lost) names.delete(path);
  return names;
}

/** A second name for a file or a symbolic link. */
function sameAt(path: string, node: number | Link): number | Link {
  return typeof node === "number" ? node : { ...node, path };
}

/** Follows hard links to one another. */
function endOf(link: Link, names: ReadonlyMap<string, number | Link>): number | Link | RemarkKind {
  let node: number | Link = link;
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

/** The folders of an archive, for symbolic links to be followed through. */
class Tree {
  readonly #name: string;
  readonly #root: Folder = new Map();
  readonly #parents = new Map<Folder, Folder>();
  readonly #followed = new Map<Link, number | Folder | RemarkKind>();
  readonly #add: (path: string, file: number) => void;
  readonly #leave: Leave;
  #characters = 0;

  constructor(
    name: string,
    names: ReadonlyMap<string, number | Link>,
    add: (path: string, file: number) => void,
    leave: Leave,
  ) {
    this.#name = name;
    this.#add = add;
    this.#leave = leave;
    const hasSymbolic = [...names.values()].some((node) => typeof node !== "number");
    if (hasSymbolic) for (const [path, node] of names) this.#insert(path, node);
  }

  /** A file and a folder may have one name in an archive; it is the folder's then. */
  #insert(path: string, node: number | Link): void {
    const folder = this.#folderOf(path);
    const name = lastOf(path);
    if (!(folder.get(name) instanceof Map)) folder.set(name, node);
  }

  /** The folder that a path lies in, which is made if need be. */
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

  /** Adds what a symbolic link leads to: a file, or all files of a folder. */
  addLink(link: Link): void {
    const folder = this.#folderOf(link.path);
    if (folder.get(lastOf(link.path)) !== link) return this.#leave("replaced member", link.path);
    const above: Folder[] = [];
    for (let each: Folder | undefined = folder; each; each = this.#parents.get(each)) above.push(each);
    this.#addFound(link.path, link, above);
  }

  /** @param above the folders that it is in, to end where a link leads back up */
  #addFound(path: string, node: Node, above: readonly Folder[]): void {
    this.#characters += path.length + 64;
    if (above.length > MAX_NESTED || this.#characters > MAX_CHARACTERS) {
      const advice = "unpack it, and give the folder";
      throw new DataError(`${this.#name}: its links make far more of it than there is: ${advice}`);
    }
    const found = typeof node === "number" || node instanceof Map ? node : this.#follow(node);
    if (typeof found === "number") this.#add(path, found);
    else if (typeof found === "string") this.#leave(found, path);
    else if (above.includes(found)) this.#leave("circular link", path);
    else for (const [name, inner] of found) this.#addFound(`${path}/${name}`, inner, [...above, found]);
  }

  /** What a symbolic link leads to, or why to nothing. @param depth how many links led to it */
  #follow(link: Link, depth = 0): number | Folder | RemarkKind {
    if (depth > MAX_FOLLOWED) return "circular link";
    const known = this.#followed.get(link);
    if (known !== undefined) return known;
    // For whoever comes back here on the way.
    this.#followed.set(link, "circular link");
    const found = this.#lookUp(link, depth);
    this.#followed.set(link, found);
    return found;
  }

  #lookUp({ path, target }: Link, depth: number): number | Folder | RemarkKind {
    if (target.startsWith("/")) return "outward path";
    let at: number | Folder = this.#folderOf(path);
    for (const name of target.split("/")) {
      if (name === "" || name === ".") continue;
      if (typeof at === "number") return "dangling link";
      const next: Node | undefined = name === ".." ? this.#parents.get(at) : at.get(name);
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
