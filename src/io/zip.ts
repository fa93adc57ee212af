/**
 * Reads zip archives in place (PKWARE's APPNOTE.TXT 6.3): stored or deflated entries, ZIP64 included, as in PyTorch and
 * NumPy files, wheels and releases. Entry names are only keys. Sizes are checked against the archive before any memory
 * is allocated for them, and a deflated entry must inflate to its declared size.
 */
import { inflateRawSync } from "node:zlib";
import { viewOf, type Bytes } from "./bytes.ts";
import { brief, damaged, MAX_FILE } from "./foreign.ts";

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const DEFLATED = 8;
const END_BYTES = 22;
/** The end record may be followed by a comment of up to 64 KiB. */
const TAIL_BYTES = END_BYTES + 0xffff + 20;
const MAX_DIRECTORY = 16 * 2 ** 20;
/** Deflate's maximum compression ratio. */
const MAX_RATIO = 1032;

export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** Not compressed: ranges can be read without reading all of it. */
  readonly stored: boolean;
  /** `length` bytes from `from`; everything by default. @throws CheckpointError when they are damaged */
  read(from?: number, length?: number): Promise<Uint8Array>;
}

/** @throws CheckpointError when it is not a zip archive or is damaged */
export async function openZip(file: Bytes): Promise<ReadonlyMap<string, ZipEntry>> {
  const fail = (what: string) => damaged(file.name, `${what}: the file is damaged, download or save it again`);
  const { at, size, count } = await findDirectory(file, fail);
  if (!(size <= MAX_DIRECTORY && at + size <= file.size)) {
    throw fail(`the zip directory of ${size} bytes at byte ${at} exceeds the file's ${file.size} bytes`);
  }
  const directory = viewOf(await file.read(at, size));
  const entries = new Map<string, ZipEntry>();
  let [place, unpacked] = [0, 0];
  for (let i = 0; i < count; i++) {
    if (place + 46 > size || directory.getUint32(place, true) !== ENTRY) {
      throw fail(`at byte ${at + place} entry ${i} of ${count} of the zip directory is missing`);
    }
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((k) => directory.getUint16(place + k, true));
    const end = place + 46 + nameBytes! + extraBytes! + commentBytes!;
    if (end > size) throw fail(`entry ${i} of the zip directory is longer than the directory`);
    const entry = readEntry(file, directory, place, nameBytes!, extraBytes!, fail);
    if (entries.has(entry.name)) throw fail(`"${brief(entry.name)}" is in the archive twice`);
    entries.set(entry.name, entry);
    // Entries may share their compressed bytes, so each alone may pass the ratio check.
    if (!entry.stored) unpacked += entry.size;
    if (unpacked > MAX_FILE) throw fail(`its deflated files have more than ${MAX_FILE} bytes`);
    place = end;
  }
  return entries;
}

type Fail = (what: string) => Error;

async function findDirectory(file: Bytes, fail: Fail): Promise<{ at: number; size: number; count: number }> {
  const start = Math.max(0, file.size - TAIL_BYTES);
  const tail = viewOf(await file.read(start, file.size - start));
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw fail("no end record of a zip archive");
  const [count, size, at] = [
    tail.getUint16(end + 10, true),
    tail.getUint32(end + 12, true),
    tail.getUint32(end + 16, true),
  ];
  const isLarge = count === 0xffff || size === 0xffff_ffff || at === 0xffff_ffff;
  if (!isLarge || end < 20 || tail.getUint32(end - 20, true) !== LOCATOR_64) return { at, size, count };
  const place = Number(tail.getBigUint64(end - 20 + 8, true));
  if (!(place + 56 <= file.size)) throw fail(`a ZIP64 end at byte ${place}, beyond the file's ${file.size} bytes`);
  const large = viewOf(await file.read(place, 56));
  if (large.getUint32(0, true) !== END_64) throw fail(`no ZIP64 end at byte ${place}`);
  const [count64, size64, at64] = [32, 40, 48].map((k) => Number(large.getBigUint64(k, true)));
  return { at: at64!, size: size64!, count: count64! };
}

function readEntry(
  file: Bytes,
  directory: DataView,
  place: number,
  nameBytes: number,
  extraBytes: number,
  fail: Fail,
): ZipEntry {
  const bytes = new Uint8Array(directory.buffer, directory.byteOffset, directory.byteLength);
  const name = new TextDecoder().decode(bytes.subarray(place + 46, place + 46 + nameBytes));
  const [flags, method] = [directory.getUint16(place + 8, true), directory.getUint16(place + 10, true)];
  let [packed, size, local] = [20, 24, 42].map((k) => directory.getUint32(place + k, true)) as [number, number, number];
  // Values that don't fit 32 bits are in an extra field, in this order.
  let extra = place + 46 + nameBytes;
  const extraEnd = extra + extraBytes;
  while (extra + 4 <= extraEnd) {
    const [id, length] = [directory.getUint16(extra, true), directory.getUint16(extra + 2, true)];
    let at = extra + 4;
    extra = at + length;
    if (id !== 1 || extra > extraEnd) continue;
    const next = (value: number) => {
      if (value !== 0xffff_ffff || at + 8 > extra) return value;
      at += 8;
      return Number(directory.getBigUint64(at - 8, true));
    };
    [size, packed, local] = [next(size), next(packed), next(local)];
  }
  const isDeflated = method === DEFLATED;
  const wrong = (what: string) => fail(`"${brief(name)}" in it ${what}`);

  /** Where its bytes begin; only the local header before them says. */
  const start = async (): Promise<number> => {
    if ((flags & 1) !== 0) throw wrong("is encrypted");
    if (!isDeflated && method !== 0)
      throw wrong(`is compressed by method ${method}; only 0 and ${DEFLATED} can be read`);
    if (!isDeflated && packed !== size) throw wrong(`has ${size} bytes, but is stored as ${packed}`);
    if (!(local + 30 <= file.size)) throw wrong(`begins at byte ${local} of ${file.size}`);
    const header = viewOf(await file.read(local, 30));
    if (header.getUint32(0, true) !== LOCAL) throw wrong(`has no header at byte ${local}`);
    const begin = local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    if (!(begin + packed <= file.size)) throw wrong(`ends at byte ${begin + packed} of ${file.size}`);
    return begin;
  };
  const inflate = async (): Promise<Uint8Array> => {
    const begin = await start();
    if (size > MAX_FILE || size > MAX_RATIO * packed)
      throw wrong(`claims to have ${size} bytes, compressed to ${packed}`);
    const all = await file.read(begin, packed);
    let whole: Uint8Array;
    try {
      whole = inflateRawSync(all, { maxOutputLength: Math.max(size, 1) });
    } catch (error) {
      throw wrong(`can't be decompressed: ${(error as Error).message}`);
    }
    if (whole.length !== size) throw wrong(`has ${whole.length} bytes instead of ${size}`);
    return whole;
  };
  return {
    name,
    size,
    stored: !isDeflated,
    async read(from = 0, length = size - from) {
      if (!(from >= 0 && length >= 0 && from + length <= size))
        throw wrong(`has ${size} bytes, but ${from + length} are needed`);
      if (isDeflated) return (await inflate()).subarray(from, from + length);
      return file.read((await start()) + from, length);
    },
  };
}
