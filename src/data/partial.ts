/** Notes on a shard (sums for the statistics, problems), kept in a file beside it until the whole pack is written. */
import { DataError } from "../errors.ts";
import { readPlainFile, reason, replaceFile } from "../io/files.ts";
import type { Sums } from "./moments.ts";

/** An image that someone should look at. */
export interface ImageProblem {
  readonly name: string;
  readonly problem: string;
  /** Whether the image is in the pack anyway. */
  readonly used: boolean;
}

interface ShardNotes extends Sums {
  readonly problems: readonly ImageProblem[];
}

/** Enough for the problems of a shard, which has a few thousand images at most. */
const MAX_PROBLEM_BYTES = 64 * 2 ** 20;

export const partialPath = (shard: string): string => `${shard}.partial`;

/** Writes the sums of all positions, then JSON with the rest. @throws AlexNetError when it can't be written */
export async function writePartial(shard: string, { places, products, ...rest }: ShardNotes): Promise<void> {
  await replaceFile(partialPath(shard), (append) => {
    append(new Uint8Array(places.buffer, places.byteOffset, places.byteLength));
    append(Buffer.from(JSON.stringify({ ...rest, products: products.map(String) })));
  });
}

/** @throws DataError when they are missing or damaged */
export function readPartial(shard: string, side: number): ShardNotes {
  const path = partialPath(shard);
  try {
    const end = 4 * side * side * 3;
    const bytes = readPlainFile(path, end + MAX_PROBLEM_BYTES);
    const { images, problems, products } = JSON.parse(bytes.toString("utf8", end)) as {
      images: number;
      problems: ImageProblem[];
      products: string[];
    };
    // Copy for alignment.
    const places = new Uint32Array(new Uint8Array(bytes.subarray(0, end)).buffer);
    return { images, problems, places, products: products.map(BigInt) };
  } catch (error) {
    throw new DataError(`can't use ${path}: ${reason(error)}: delete it and ${shard}, and pack again`, {
      cause: error,
    });
  }
}
