/**
 * Reads a .tar in place: headers are visited once, seeking from one to the next, and images are read where they are.
 * Nothing is extracted, so that a malicious path is only a name. Supports POSIX.1-1988 (ustar) with GNU long names and
 * POSIX.1-2001 (pax) paths and sizes. Links are resolved only within the archive.
 */
import { DataError, oneLine } from "../errors.ts";
import { excerpt, part, type Bytes } from "../io/bytes.ts";
import type { Listing } from "./listing.ts";
import { escaped, formatByName, spelled, systemPart } from "./names.ts";
import type { RemarkKind, Remarks } from "./remarks.ts";
import { inArchive, resolveLinks, type Index, type TarLink } from "./tar_links.ts";

const BLOCK = 512;
/** Longer names are treated as damage. */
const MAX_NAME_BYTES = 64 * 1024;
/** Symbolic links, devices, folders and pipes: no data follows, whatever size they state (POSIX.1-2001, pax). */
const NO_BODY = "23456";
/** Read size where members are small, so that one read fetches many headers. */
const WINDOW = 256 * 1024;
/** Folders and volume labels. */
const NO_FILE = "5V";
/** Special files. */
const SPECIAL: Readonly<Record<string, RemarkKind>> = { "3": "device", "4": "device", "6": "pipe" };

/**
 * Lists the files in a .tar. Closing the listing closes `archive`.
 * @param own the listing's other properties
 * @throws DataError when it is not a tar, or is truncated or damaged
 */
export async function tarListing(
  archive: Bytes,
  own: Pick<Listing, "depth" | "remarks" | "unpacking">,
): Promise<Listing> {
  const { name, size } = archive;
  const { remarks } = own;
  const { paths, starts, sizes } = visible(await readIndex(new Window(archive), name, size, remarks), name, remarks);
  return {
    ...own,
    name,
    paths,
    read: (i) => archive.read(starts[i]!, sizes[i]!),
    head: (i, length) => archive.read(starts[i]!, Math.min(length, sizes[i]!)),
    open: async (i) => part(archive, `${name}/${paths[i]}`, starts[i]!, sizes[i]!),
    ...(archive.place && { place: (i) => archive.place!(starts[i]!, sizes[i]!) }),
    close: () => archive.close(),
  };
}

/** Removes system files; those that might be mistaken for images are remarked, as in a folder. */
function visible({ paths, starts, sizes }: Index, name: string, remarks: Remarks): Index {
  const kept: Index = { paths: [], starts: [], sizes: [] };
  const hidden = new Set<string>();
  for (const [i, path] of paths.entries()) {
    const system = systemPart(path);
    if (system === undefined) {
      kept.paths.push(path);
      kept.starts.push(starts[i]!);
      kept.sizes.push(sizes[i]!);
    } else if (system.endsWith("/") || formatByName(system)) hidden.add(system);
  }
  for (const system of hidden) remarks.add("hidden", `${name}/${system}`);
  return kept;
}

async function readIndex(window: Window, name: string, fileSize: number, remarks: Remarks): Promise<Index> {
  const index: Index = { paths: [], starts: [], sizes: [] };
  const links: TarLink[] = [];
  const leave = (kind: RemarkKind, path: string) => remarks.add(kind, `${name}/${path}`);
  let [longName, longTarget]: (Uint8Array | undefined)[] = [];
  let pax: Pax = {};
  if (fileSize === 0) return index;
  for (let at = 0; ;) {
    // An archive ends with empty blocks; one truncated between two members has none.
    if (at >= fileSize) throw cutShort(name, fileSize, "the empty block at its end", at + BLOCK);
    const header = await window.read(at, BLOCK);
    if (header.length < BLOCK && at > 0) throw cutShort(name, fileSize, `a header at byte ${at}`, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    if (!checksumFits(header)) {
      const advice = at === 0 ? "it is not a tar archive" : "it is damaged: make or download it again";
      throw new DataError(`${name}: no tar header at byte ${at}: ${advice}`);
    }
    const type = String.fromCharCode(header[156]!);
    const isMember = type === "0" || type === "\0" || type === "7";
    const size = NO_BODY.includes(type) ? 0 : ((isMember ? pax.size : undefined) ?? number(header, 124, 12));
    const bytes = pax.path ?? longName ?? headerPath(header);
    const spelt = spelled(bytes);
    const path = oneLine(spelt ?? escaped(bytes));
    const start = at + BLOCK;
    if (!(Number.isInteger(size) && size >= 0 && size <= Number.MAX_SAFE_INTEGER - start - BLOCK)) {
      throw new DataError(
        `${name}: the header at byte ${at} gives no valid size for ${excerpt(path)}: the archive is damaged`,
      );
    }
    if (start + size > fileSize) throw cutShort(name, fileSize, excerpt(path), start + size);
    if (type === "L" || type === "K" || type === "x") {
      if (size > MAX_NAME_BYTES)
        throw new DataError(`${name}: a file name of ${size} bytes at byte ${at}: the archive is damaged`);
      const body = await window.read(start, size);
      if (type === "L") longName = untilZero(body).slice();
      else if (type === "K") longTarget = untilZero(body).slice();
      else pax = parsePax(body);
    } else if (type !== "g") {
      const isLink = type === "1" || type === "2";
      const within = inArchive(path);
      if (NO_FILE.includes(type) || (isMember && path.endsWith("/"))) {
        // Folders are implied by their files.
      } else if (spelt === undefined) leave("broken name", path);
      else if (within === undefined) leave("outward path", path);
      else if (isLink) {
        const target = oneLine(textOf(pax.target ?? longTarget ?? untilZero(header.subarray(157, 257))));
        links.push({ path: within, target, isHard: type === "1", before: index.paths.length });
      } else if (isMember && !pax.isSparse) {
        index.paths.push(within);
        index.starts.push(start);
        index.sizes.push(size);
      } else leave(SPECIAL[type] ?? "other member", path);
      longName = undefined;
      longTarget = undefined;
      pax = {};
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return resolveLinks(name, index, links, leave);
}

function cutShort(name: string, fileSize: number, what: string, end: number): DataError {
  return new DataError(
    `${name} is truncated: it ends at byte ${fileSize}, but ${what} extends to byte ${end}: copy or download it again`,
  );
}

/** Buffers reads, reading ahead while members are small. */
class Window {
  readonly #bytes: Bytes;
  #start = 0;
  #window: Uint8Array = new Uint8Array(0);

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** `length` bytes from `at`, or fewer at the end of the file; valid until the next call. */
  async read(at: number, length: number): Promise<Uint8Array> {
    const { size } = this.#bytes;
    const end = Math.min(at + length, size);
    const windowEnd = this.#start + this.#window.length;
    if (at < this.#start || end > windowEnd) {
      const ahead = at - windowEnd < WINDOW / 8 ? WINDOW : BLOCK;
      const wanted = Math.min(Math.max(end - at, ahead), size - at);
      this.#window = await this.#bytes.read(at, wanted);
      this.#start = at;
    }
    return this.#window.subarray(at - this.#start, end - this.#start);
  }
}

interface Pax {
  readonly path?: Uint8Array;
  readonly target?: Uint8Array;
  readonly size?: number;
  /** A sparse file: a map and the data between the holes follow. */
  readonly isSparse?: boolean;
}

/** Records "LENGTH KEY=VALUE\n", where LENGTH is that of the whole record. */
function parsePax(body: Uint8Array): Pax {
  const values = new Map<string, Uint8Array>();
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const length = space < 0 ? NaN : Number(text(body, at, space - at));
    if (!(length > 0 && at + length <= body.length)) break;
    const equals = body.indexOf(0x3d, space);
    const end = at + length - 1;
    if (equals >= 0 && equals < end) values.set(text(body, space + 1, equals - space - 1), body.slice(equals + 1, end));
    at += length;
  }
  const [path, target, size] = ["path", "linkpath", "size"].map((key) => values.get(key));
  return {
    ...(path && { path: untilZero(path) }),
    ...(target && { target: untilZero(target) }),
    ...(size && { size: Number(textOf(size)) }),
    isSparse: [...values.keys()].some((key) => key.startsWith("GNU.sparse.")),
  };
}

function headerPath(header: Uint8Array): Uint8Array {
  const name = untilZero(header.subarray(0, 100));
  // GNU's format has other fields in place of ustar's prefix; its magic continues with a space.
  const isUstar = text(header, 257, 6) === "ustar" && header[262] === 0;
  const prefix = untilZero(isUstar ? header.subarray(345, 500) : new Uint8Array(0));
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]);
}

/** The sum of the header's bytes, with the checksum field itself counted as spaces. */
function checksumFits(header: Uint8Array): boolean {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return sum === number(header, 148, 8);
}

/** Octal digits or, if the top bit is set, a big-endian binary number. */
function number(header: Uint8Array, at: number, length: number): number {
  if (header[at]! & 0x80) {
    let value = header[at]! & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + header[at + i]!;
    return value;
  }
  const digits = text(header, at, length).trim();
  return /^[0-7]*$/.test(digits) ? parseInt(digits || "0", 8) : NaN;
}

/** UTF-8 up to the first zero byte. */
function text(bytes: Uint8Array, at: number, length: number): string {
  return textOf(untilZero(bytes.subarray(at, at + length)));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

function untilZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
