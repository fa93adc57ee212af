/** What is known of a shard beside its images, kept in a file of its own until all of a pack is there. */
import { DataError } from "../errors.ts";
import { readPlainFile, reason, replaceFile } from "../io/files.ts";
import type { Sums } from "./statistics.ts";

/** Something that a person should look at. */
export interface Problem {
  readonly name: string;
  readonly problem: string;
  /** Whether the image is in the pack all the same. */
  readonly used: boolean;
}

interface Partial extends Sums {
  readonly problems: readonly Problem[];
}

/** What is said of the images of a shard, of which there are some thousands at most. */
const MAX_PROBLEM_BYTES = 64 * 2 ** 20;

export const partialPath = (shard: string): string => `${shard}.partial`;

/** The sums of places, then a line of JSON with the rest. @throws AlexNetError when it can't be written */
export async function writePartial(shard: string, { places, products, ...rest }: Partial): Promise<void> {
  await replaceFile(partialPath(shard), (append) => {
    append(new Uint8Array(places.buffer, places.byteOffset, places.byteLength));
    append(Buffer.from(JSON.stringify({ ...rest, products: products.map(String) })));
  });
}

/** @throws DataError when it is not there or damaged */
export function readPartial(shard: string, side: number): Partial {
  const path = partialPath(shard);
  try {
    const end = 4 * side * side * 3;
    const bytes = readPlainFile(path, end + MAX_PROBLEM_BYTES);
    const { images, problems, products } = JSON.parse(bytes.toString("utf8", end)) as {
      images: number;
      problems: Problem[];
      products: string[];
    };
    // A copy is aligned.
    const places = new Uint32Array(new Uint8Array(bytes.subarray(0, end)).buffer);
    return { images, problems, places, products: products.map(BigInt) };
  } catch (error) {
    throw new DataError(`can't use ${path}: ${reason(error)}: delete it and ${shard}, and pack again`, {
      cause: error,
    });
  }
}
