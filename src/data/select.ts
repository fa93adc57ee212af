import type { Dataset, Fold } from "./dataset.ts";
import { refuseMemory } from "./memory.ts";
import { openDataset, opened, type Opened } from "./open.ts";
import { reduce } from "./sampling.ts";
import { shapes } from "./shapes.ts";

export interface Selection {
  /** A folder, archive, list, the name of a set, or a set that is open; null for the built-in set. */
  readonly data: string | Dataset | null;
  /** A separate set for validation. */
  readonly val: string | Dataset | null;
  /** The fraction held out if there is no validation set or split. */
  readonly holdOut: number;
  /** Instead: one of several parts to hold out. */
  readonly fold?: Fold | null;
  readonly seed: number;
  /** Keep only this fraction of each class in both sets; all by default. */
  readonly fraction?: number;
  /** Keep at most this many images of each set; all by default. */
  readonly limit?: number | null;
}

/**
 * Opens the training and the validation set.
 * @param onProgress called with a line about slow work: downloads, and indexing large archives
 * @throws DataError
 */
export async function openSets(selection: Selection, onProgress: (line: string) => void = () => {}): Promise<Opened> {
  return reduceSets(await openWhole(selection, onProgress), selection);
}

/** As `openSets`, without applying `fraction` and `limit`. */
export async function openWhole(
  { data, val, holdOut, fold, seed }: Selection,
  onProgress: (line: string) => void = () => {},
): Promise<Opened> {
  if (data === null) return opened({ ...shapes(), remarks: [] });
  for (const place of [data, val]) if (typeof place === "string") refuseMemory(place);
  return openDataset(data, { holdOut, seed, onProgress, ...(val === null ? {} : { val }), ...(fold && { fold }) });
}

/** Applies `fraction` and `limit` to both sets. */
export function reduceSets(whole: Opened, { fraction = 1, limit, seed }: Selection): Opened {
  const train = reduce(whole.train, fraction, limit ?? Infinity, seed);
  const val = whole.val === whole.train ? train : reduce(whole.val, fraction, limit ?? Infinity, seed);
  return opened({ train, val, remarks: whole.remarks });
}
