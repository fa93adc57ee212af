/** Archives: what kind one is, and what may be in it. */
import { gunzip } from "node:zlib";
import { DataError } from "../errors.ts";
import { inMemory, readWhole, type Bytes } from "./bytes.ts";
import type { Listing } from "./listing.ts";
import { Remarks } from "./remarks.ts";
import { tarListing } from "./tar.ts";

/** What is compressed has to be unpacked to memory; CIFAR is 184 MB. */
const MAX_UNPACKED_BYTES = 2 ** 30;
/** ILSVRC's training set is a .tar of .tars. */
const MAX_DEPTH = 2;
/** Archives whose headers are read at once: most of the time one only waits for the disk. */
const AT_ONCE = 16;

export interface ArchiveOptions {
  /** Is told what is left alone. */
  readonly remarks?: Remarks;
  /** How many archives the files lie in, this one included. */
  readonly depth?: number;
  /** How many bytes may be unpacked to memory. */
  readonly limit?: number;
}

/**
 * The files in a .tar or .tar.gz. It closes `bytes` when it is closed itself, or at once when it can't be opened.
 * @throws DataError when it is neither, is damaged, or unpacks to more than the limit
 */
export async function openArchive(bytes: Bytes, options: ArchiveOptions = {}): Promise<Listing> {
  const { remarks = new Remarks(), depth = 1, limit = MAX_UNPACKED_BYTES } = options;
  try {
    if (depth > MAX_DEPTH)
      throw new DataError(`${bytes.name} is an archive in an archive in an archive: unpack the outermost one`);
    const head = await bytes.read(0, Math.min(4, bytes.size));
    if (head[0] === 0x50 && head[1] === 0x4b) {
      const advice = "unpack it, and give the folder or .tar";
      throw new DataError(`${bytes.name} is compressed (zip) and can't be read in place: ${advice}`);
    }
    if (head[0] !== 0x1f || head[1] !== 0x8b) return await tarListing(bytes, depth, remarks);
    const unpacked = await unpack(bytes, limit);
    await bytes.close();
    return await tarListing(unpacked, depth, remarks);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** The files in an archive that is file i of `listing`; closed with it. @throws DataError as `openArchive` */
export async function descend(listing: Listing, i: number): Promise<Listing> {
  return openArchive(await listing.open(i), { depth: listing.depth + 1, remarks: listing.remarks });
}

/**
 * The files in several archives of a listing, in the order given. @param progress told what is done, now and then
 * @throws DataError as `openArchive`
 */
export async function descendAll(
  listing: Listing,
  archives: readonly number[],
  progress: (line: string) => void,
): Promise<Listing[]> {
  const opened: Listing[] = [];
  let [next, done] = [0, 0];
  const work = async () => {
    while (next < archives.length) {
      const k = next++;
      opened[k] = await descend(listing, archives[k]!);
      if (++done % 100 === 0) progress(`Reading the index of ${listing.name}: ${done} of ${archives.length} archives`);
    }
  };
  // When one fails, nothing is begun any more, and what is under way ends before the listing is closed.
  const stop = (error: unknown) => {
    next = archives.length;
    throw error;
  };
  for (const ended of await Promise.allSettled(Array.from({ length: AT_ONCE }, () => work().catch(stop))))
    if (ended.status === "rejected") throw ended.reason;
  return opened;
}

async function unpack(bytes: Bytes, limit: number): Promise<Bytes> {
  const tooLarge = () =>
    new DataError(
      `${bytes.name} is compressed (gzip) and unpacks to more than ${limit / 2 ** 20} MiB, which is too much to read ` +
        `in memory: unpack it, and give the folder or .tar`,
    );
  if (bytes.size > limit) throw tooLarge();
  const packed = await readWhole(bytes, limit);
  const unpacked = await new Promise<Uint8Array>((resolve, reject) => {
    gunzip(packed, { maxOutputLength: limit }, (error, result) => {
      if (!error) resolve(result);
      else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") reject(tooLarge());
      else reject(new DataError(`${bytes.name} is damaged (${error.message}): download it again`, { cause: error }));
    });
  });
  return inMemory(bytes.name, unpacked);
}
