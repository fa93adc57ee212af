/** Archives: what kind one is, and what may be in it. */
import { DataError } from "../errors.ts";
import type { Bytes } from "../io/bytes.ts";
import type { Listing } from "./listing.ts";
import { Remarks } from "./remarks.ts";
import { tarListing } from "./tar.ts";
import { Unpacking } from "./unpacking.ts";

/** ILSVRC's training set is a .tar of .tars. */
const MAX_DEPTH = 2;
/** Archives whose headers are read at once: most of the time one only waits for the disk. */
const AT_ONCE = 16;

interface ArchiveOptions {
  /** Is told what is left alone. */
  readonly remarks?: Remarks;
  /** How many archives the files lie in, this one included. */
  readonly depth?: number;
  /** What may be unpacked to memory: what is left of it to the set that the archive belongs to. */
  readonly unpacking?: Unpacking;
}

/**
 * The files in a .tar or .tar.gz. It closes `bytes` when it is closed itself, or at once when it can't be opened.
 * @throws DataError when it is neither, is damaged, or unpacks to more than it may
 */
export async function openArchive(bytes: Bytes, options: ArchiveOptions = {}): Promise<Listing> {
  const { remarks = new Remarks(), depth = 1, unpacking = new Unpacking() } = options;
  try {
    if (depth > MAX_DEPTH)
      throw new DataError(`${bytes.name} is an archive in an archive in an archive: unpack the outermost one`);
    const head = await bytes.read(0, Math.min(4, bytes.size));
    if (head[0] === 0x50 && head[1] === 0x4b) {
      const advice = "unpack it, and give the folder or .tar";
      throw new DataError(`${bytes.name} is compressed (zip) and can't be read in place: ${advice}`);
    }
    if (head[0] !== 0x1f || head[1] !== 0x8b) return await tarListing(bytes, { depth, remarks, unpacking });
    const unpacked = await unpacking.gunzip(bytes);
    await bytes.close();
    return await tarListing(unpacked, { depth, remarks, unpacking });
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** The files in an archive that is file i of `listing`; closed with it. @throws DataError as `openArchive` */
export async function descend(listing: Listing, i: number): Promise<Listing> {
  const { depth, remarks, unpacking } = listing;
  return openArchive(await listing.open(i), { depth: depth + 1, remarks, unpacking });
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
