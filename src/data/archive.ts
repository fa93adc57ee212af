/** Archives: what kind one is, and what may be in it. */
import { gunzip } from "node:zlib";
import { DataError } from "../errors.ts";
import { inMemory, readWhole, type Bytes } from "./bytes.ts";
import type { Listing } from "./listing.ts";
import { tarListing } from "./tar.ts";

/** What is compressed has to be unpacked to memory; CIFAR is 184 MB. */
const MAX_UNPACKED_BYTES = 2 ** 30;
/** ILSVRC's training set is a .tar of .tars. */
const MAX_DEPTH = 2;

/**
 * The files in a .tar or .tar.gz. It closes `bytes` when it is closed itself, or at once when it can't be opened.
 * @throws DataError when it is neither, is damaged, or unpacks to more than a GiB
 */
export async function openArchive(bytes: Bytes, depth = 1): Promise<Listing> {
  try {
    if (depth > MAX_DEPTH)
      throw new DataError(`${bytes.name} is an archive in an archive in an archive: unpack the outermost one`);
    const head = await bytes.read(0, Math.min(4, bytes.size));
    if (head[0] === 0x50 && head[1] === 0x4b) {
      const advice = "unpack it, and give the folder or .tar";
      throw new DataError(`${bytes.name} is compressed (zip) and can't be read in place: ${advice}`);
    }
    if (head[0] !== 0x1f || head[1] !== 0x8b) return await tarListing(bytes, depth);
    const unpacked = await unpack(bytes);
    await bytes.close();
    return await tarListing(unpacked, depth);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** The files in an archive that is file i of `listing`; closed with it. @throws DataError as `openArchive` */
export async function descend(listing: Listing, i: number): Promise<Listing> {
  return openArchive(await listing.open(i), listing.depth + 1);
}

async function unpack(bytes: Bytes): Promise<Bytes> {
  const advice = `it can't be read in place: unpack it (gunzip), and give the .tar`;
  const tooLarge = `${bytes.name} is compressed (gzip) and larger than ${MAX_UNPACKED_BYTES / 2 ** 20} MiB, so that ${advice}`;
  if (bytes.size > MAX_UNPACKED_BYTES) throw new DataError(tooLarge);
  const packed = await readWhole(bytes, MAX_UNPACKED_BYTES);
  const unpacked = await new Promise<Uint8Array>((resolve, reject) => {
    gunzip(packed, { maxOutputLength: MAX_UNPACKED_BYTES }, (error, result) => {
      if (!error) return resolve(result);
      const { code } = error as NodeJS.ErrnoException;
      const what = code === "ERR_BUFFER_TOO_LARGE" ? tooLarge : `${bytes.name} is damaged (${error.message})`;
      reject(new DataError(code === "ERR_BUFFER_TOO_LARGE" ? what : `${what}: download it again`, { cause: error }));
    });
  });
  return inMemory(bytes.name, unpacked);
}
