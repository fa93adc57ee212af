/** Looks for validation images that are nearly the same as training images. */
import { nameWithin, type Dataset } from "../../data/dataset.ts";
import { fingerprintsOf, nearDuplicates, type NearDuplicate } from "../../data/near_duplicates.ts";
import type { Network } from "../../net/recipe.ts";
import type { Records } from "../../training/session.ts";
import { count, plural } from "../../words.ts";

interface FindOptions {
  readonly network: Network;
  /** Called after each batch; what it throws ends the search. */
  readonly progress: (done: number, total: number) => void;
  readonly onBad?: (name: string, reason: string) => void;
}

/**
 * Decodes both sets, which the caches keep, so that a training need not do it again.
 * @returns undefined for sets that don't fit in memory: decoding all of their images takes too long
 * @throws DataError when too many images can't be used
 */
export async function findDuplicates(
  train: Records,
  val: Records,
  { network: { record: recordSize, resize }, progress, onBad }: FindOptions,
): Promise<NearDuplicate[] | undefined> {
  if (!train.cache.holdsAll || !val.cache.holdsAll) return undefined;
  const total = train.dataset.length + (val === train ? 0 : val.dataset.length);
  const read = ({ dataset, cache }: Records, before: number) =>
    fingerprintsOf(dataset, {
      ...{ recordSize, resize, cache, progress: (done) => progress(before + done, total) },
      ...(onBad && { onBad }),
    });
  const prints = await read(train, 0);
  return nearDuplicates(prints, val === train ? prints : await read(val, train.dataset.length));
}

/** A line for people about the duplicates found, at least one. */
export function duplicatesInWords(found: readonly NearDuplicate[], train: Dataset, val: Dataset): string {
  const [first] = found;
  const names = `first ${nameWithin(val, first!.val)} and ${nameWithin(train, first!.train)}`;
  const are = found.length === 1 ? "is a near-duplicate" : "are near-duplicates";
  return train === val
    ? `${count(found.length)} of the ${plural(val.length, "image")} ${are} of others, ${names}: ` +
        `held out for validation, they make the score look better than it is`
    : `${count(found.length)} of the ${plural(val.length, "validation image")} ${are} of training images, ${names}: ` +
        `they make the score look better than it is`;
}
