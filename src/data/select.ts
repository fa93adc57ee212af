import { openDataset, opened, type Opened } from "./open.ts";
import { reduce } from "./sampling.ts";
import { shapes } from "./shapes.ts";

export interface Source {
  /** A folder, archive, list, or the name of a set; the built-in set if null. */
  readonly data: string | null;
  /** Another one to validate with. */
  readonly val: string | null;
  /** The share held out for validation where neither says what to validate with. */
  readonly holdOut: number;
  readonly seed: number;
  /** Of each class of both parts only this share, and of each part at most this many images; all of them if absent. */
  readonly fraction?: number;
  readonly limit?: number | null;
}

/**
 * The sets to train on and to validate with. @throws DataError
 * @param onProgress told what takes its time, a line at a time: downloads, and indexes of large archives
 */
export async function openSets(source: Source, onProgress: (line: string) => void = () => {}): Promise<Opened> {
  return reduceSets(await openWhole(source, onProgress), source);
}

/** As `openSets`, before `fraction` and `limit`. */
export async function openWhole(
  { data, val, holdOut, seed }: Source,
  onProgress: (line: string) => void = () => {},
): Promise<Opened> {
  if (data === null) return opened({ ...shapes(), remarks: [] });
  return openDataset(data, { holdOut, seed, onProgress, ...(val === null ? {} : { val }) });
}

/** What `fraction` and `limit` leave of both parts. */
export function reduceSets(whole: Opened, { fraction = 1, limit, seed }: Source): Opened {
  const train = reduce(whole.train, fraction, limit ?? Infinity, seed);
  const val = whole.val === whole.train ? train : reduce(whole.val, fraction, limit ?? Infinity, seed);
  return opened({ train, val, remarks: whole.remarks });
}
