/** Weight files from strangers: size limits, and errors about them. */
import { CheckpointError, oneLine } from "../errors.ts";
import { excerpt } from "./bytes.ts";

/** The largest file that is read whole, in bytes. */
export const MAX_FILE = 2 ** 30;

/** A name from the file, which may be of any length, on one line. */
export const brief = (text: string): string => oneLine(excerpt(text));

export function damaged(path: string, what: string, cause?: unknown): CheckpointError {
  return new CheckpointError(oneLine(`${path}: ${what}`), cause === undefined ? {} : { cause });
}
