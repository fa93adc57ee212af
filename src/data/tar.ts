/**
 * A .tar read in place: the headers are visited once, seeking from one to the next, and images are read where they
 * lie. Nothing is extracted, so that a path in it, however odd, is only a name. POSIX.1-1988 (ustar) with GNU long
 * names and POSIX.1-2001 (pax) paths and sizes.
 */
import { DataError, oneLine } from "../errors.ts";
import { excerpt, part, type Bytes } from "./bytes.ts";
import type { Listing } from "./listing.ts";

const BLOCK = 512;
/** Names longer than this are taken for damage. */
const MAX_NAME_BYTES = 64 * 1024;
/** Symbolic links, devices, folders and pipes: whatever size they state, no bytes follow (POSIX.1-2001, pax). */
const NO_BODY = "23456";
/** How much is read at once where members are small, so that many headers come with one read. */
const WINDOW = 256 * 1024;

/**
 * The files in a .tar. It closes `archive` when it is closed itself.
 * @param depth how many archives the files lie in: 1, or 2 for a .tar in a .tar
 * @throws DataError when it is no tar, or is cut short or damaged
 */
export async function tarListing(archive: Bytes, depth: number): Promise<Listing> {
  const { name, size } = archive;
  const { paths, starts, sizes } = await readIndex(new Window(archive), name, size);
  return {
    name,
    paths,
    depth,
    read: (i) => archive.read(starts[i]!, sizes[i]!),
    head: (i, length) => archive.read(starts[i]!, Math.min(length, sizes[i]!)),
    open: async (i) => part(archive, `${name}/${paths[i]}`, starts[i]!, sizes[i]!),
    ...(archive.place && { place: (i) => archive.place!(starts[i]!, sizes[i]!) }),
    close: () => archive.close(),
  };
}

interface Index {
  readonly paths: string[];
  /** Where in the archive a member's bytes begin, and how many there are. */
  readonly starts: number[];
  readonly sizes: number[];
}

async function readIndex(window: Window, name: string, fileSize: number): Promise<Index> {
  const index: Index = { paths: [], starts: [], sizes: [] };
  let longName: string | undefined;
  let pax: Pax = {};
  if (fileSize === 0) return index;
  for (let at = 0; ;) {
    // An archive ends with empty blocks; one that breaks off between two members has none.
    if (at >= fileSize) throw cutShort(name, fileSize, "the empty block at its end", at + BLOCK);
    const header = await window.read(at, BLOCK);
    if (header.length < BLOCK && at > 0) throw cutShort(name, fileSize, `a header at byte ${at}`, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    if (!checksumFits(header)) {
      const advice = at === 0 ? "it is no tar archive" : "it is damaged: make or download it again";
      throw new DataError(`${name}: no tar header at byte ${at}: ${advice}`);
    }
    const type = String.fromCharCode(header[156]!);
    const isMember = type === "0" || type === "\0" || type === "7";
    const size = NO_BODY.includes(type) ? 0 : ((isMember ? pax.size : undefined) ?? number(header, 124, 12));
    const path = oneLine(pax.path ?? longName ?? headerPath(header));
    const start = at + BLOCK;
    if (!(Number.isInteger(size) && size >= 0 && size <= Number.MAX_SAFE_INTEGER - start - BLOCK)) {
      throw new DataError(
        `${name}: the header at byte ${at} gives no valid size for ${excerpt(path)}: the archive is damaged`,
      );
    }
    if (start + size > fileSize) throw cutShort(name, fileSize, excerpt(path), start + size);
    if (type === "L" || type === "x") {
      if (size > MAX_NAME_BYTES)
        throw new DataError(`${name}: a file name of ${size} bytes at byte ${at}: the archive is damaged`);
      const body = await window.read(start, size);
      if (type === "L") longName = text(body, 0, size);
      else pax = parsePax(body);
    } else if (type !== "K" && type !== "g") {
      // Folders, links and devices only end what was said of them.
      if (isMember && !path.endsWith("/")) {
        index.paths.push(
          path
            .split("/")
            .filter((part) => part !== "" && part !== ".")
            .join("/"),
        );
        index.starts.push(start);
        index.sizes.push(size);
      }
      longName = undefined;
      pax = {};
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return index;
}

function cutShort(name: string, fileSize: number, what: string, end: number): DataError {
  return new DataError(
    `${name} is cut short: it ends at byte ${fileSize}, but ${what} goes on to byte ${end}: copy or download it again`,
  );
}

/** Reads ahead while members are small. */
class Window {
  readonly #bytes: Bytes;
  #start = 0;
  #window: Uint8Array = new Uint8Array(0);

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** `length` bytes from `at`, fewer at the end of the file; valid until the next call. */
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
  path?: string;
  size?: number;
}

/** Records "LENGTH KEY=VALUE\n", where LENGTH counts all of the record. */
function parsePax(body: Uint8Array): Pax {
  const found: Pax = {};
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const length = space < 0 ? NaN : Number(text(body, at, space - at));
    if (!(length > 0 && at + length <= body.length)) break;
    const record = text(body, space + 1, at + length - 1 - (space + 1));
    const equals = record.indexOf("=");
    if (record.slice(0, equals) === "path") found.path = record.slice(equals + 1);
    if (record.slice(0, equals) === "size") found.size = Number(record.slice(equals + 1));
    at += length;
  }
  return found;
}

function headerPath(header: Uint8Array): string {
  const name = text(header, 0, 100);
  // GNU's own format has other things where ustar's prefix is; its magic goes on with a space.
  const prefix = text(header, 257, 6) === "ustar" && header[262] === 0 ? text(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The sum of the header's bytes, its own field taken as spaces. */
function checksumFits(header: Uint8Array): boolean {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return sum === number(header, 148, 8);
}

/** Octal digits, or, when the top bit is set, a big-endian binary number. */
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
  const part = bytes.subarray(at, at + length);
  const end = part.indexOf(0);
  return Buffer.from(part.buffer, part.byteOffset, end < 0 ? part.length : end).toString("utf8");
}
