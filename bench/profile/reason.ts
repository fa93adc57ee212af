/** What went wrong, in one line. */
import { oneLine } from "../../src/errors.ts";

export function reasonOf(error: unknown): string {
  return oneLine(error instanceof Error ? `${error.message || error.name}` : String(error)).slice(0, 500);
}
