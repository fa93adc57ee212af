/** Files out of downloaded zip archives, checked by their hash. */
import { AlexNetError, DeviceError } from "../errors.ts";
import { inMemory } from "../io/bytes.ts";
import { openZip } from "../io/zip.ts";
import { requireSha256 } from "./pins.ts";

/** Where an archive can be had, for people, and how. */
export type Way = readonly [from: string, fetch: () => Promise<Uint8Array>];

interface Wanted {
  /** What messages call the archive, the file in it, and its name. */
  readonly archive: string;
  readonly what: string;
  readonly file: string;
  /** Its path in the archive. */
  readonly inside: RegExp;
  readonly sha256: string;
  /** Called before each way is tried; what it throws ends the search. */
  readonly beforeEach?: (from: string) => void;
}

/** The file from the first archive that has it; or, as a text, why none has. */
export async function fromArchives(ways: readonly Way[], wanted: Wanted): Promise<Uint8Array | string> {
  const { archive, what, file, inside, sha256, beforeEach } = wanted;
  const tried: string[] = [];
  for (const [from, fetch] of ways) {
    beforeEach?.(from);
    try {
      const entries = await openZip(inMemory(`${archive} from ${from}`, await fetch()));
      const bytes = await [...entries.values()].find(({ name }) => inside.test(name))?.read();
      if (!bytes) throw new DeviceError(`${archive} from ${from} has no ${file}`);
      requireSha256(`${what} from ${from}`, bytes, sha256);
      return bytes;
    } catch (error) {
      if (!(error instanceof AlexNetError)) throw error;
      tried.push(error.message);
    }
  }
  return tried.join("; ");
}
