/** Files of somebody else's: how much of one is read, and how it is said what is wrong with it. */
import { CheckpointError, oneLine } from "../errors.ts";

/** The largest file that is read as a whole, in bytes. */
export const MAX_FILE = 2 ** 30;

/** Names in files of strangers may be of any length. */
export const brief = (text: string): string => oneLine(text.length > 100 ? `${text.slice(0, 99)}…` : text);

export function damaged(path: string, what: string, cause?: unknown): CheckpointError {
  return new CheckpointError(oneLine(`${path}: ${what}`), cause === undefined ? {} : { cause });
}
