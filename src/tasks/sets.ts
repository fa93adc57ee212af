import { openDataset, type Opened } from "../data/open.ts";
import { shapes } from "../data/shapes.ts";

export interface Source {
  /** A folder or archive; the built-in set if null. */
  readonly data: string | null;
  /** Another one to validate with. */
  readonly val: string | null;
  /** The share held out for validation where neither says what to validate with. */
  readonly holdOut: number;
  readonly seed: number;
}

/** Closes the files of both; they may share them. */
export async function closeSets({ train, val }: Opened): Promise<void> {
  await train.close();
  await val.close();
}

/** The sets to train on and to validate with. @throws DataError */
export async function openSets({ data, val, holdOut, seed }: Source): Promise<Opened> {
  if (data === null) return shapes();
  return openDataset(data, { holdOut, seed, ...(val === null ? {} : { val }) });
}
