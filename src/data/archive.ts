/** Opens archives, also nested ones, within limits. */
import { DataError } from "../errors.ts";
import type { Bytes } from "../io/bytes.ts";
import type { Listing } from "./listing.ts";
import { Remarks } from "./remarks.ts";
import { tarListing } from "./tar.ts";
import { Unpacking } from "./unpacking.ts";

/** ILSVRC's training set is a .tar of .tars. */
const MAX_DEPTH = 2;
/** Archives whose headers are read concurrently: most of the time is spent waiting for the disk. */
const AT_ONCE = 16;

interface ArchiveOptions {
  /** Collects what is ignored. */
  readonly remarks?: Remarks;
  /** Nesting depth of the files: 1 for an archive, 2 for an archive in an archive. */
  readonly depth?: number;
  /** The memory budget for decompression, shared by all archives of a set. */
  readonly unpacking?: Unpacking;
}

/**
 * The files in a .tar or .tar.gz. Closing the listing closes `bytes`; so does a failure to open it.
 * @throws DataError when it is neither, is damaged, or decompresses to more than the budget
 */
export async function openArchive(bytes: Bytes, options: ArchiveOptions = {}): Promise<Listing> {
  const { remarks = new Remarks(), depth = 1, unpacking = new Unpacking() } = options;
  try {
    if (depth > MAX_DEPTH)
      throw new DataError(`${bytes.name} is nested in more than ${MAX_DEPTH} archives: unpack the outermost one`);
    const head = await bytes.read(0, Math.min(4, bytes.size));
    if (head[0] === 0x50 && head[1] === 0x4b) {
      const advice = "unpack it, and pass the folder or a .tar";
      throw new DataError(`${bytes.name} is a zip archive, which can't be read in place: ${advice}`);
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

/** Opens file i of `listing` as an archive; closed with it. @throws DataError as `openArchive` */
export async function descend(listing: Listing, i: number): Promise<Listing> {
  const { depth, remarks, unpacking } = listing;
  return openArchive(await listing.open(i), { depth: depth + 1, remarks, unpacking });
}

/**
 * Opens several archives in a listing; the result has their order.
 * @param progress called with a line now and then
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
  // When one fails, start no more, and let those in progress finish before the listing is closed.
  const stop = (error: unknown) => {
    next = archives.length;
    throw error;
  };
  for (const ended of await Promise.allSettled(Array.from({ length: AT_ONCE }, () => work().catch(stop))))
    if (ended.status === "rejected") throw ended.reason;
  return opened;
}
