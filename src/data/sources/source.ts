/** What a kind of image set is. A new one is a file beside this one, and a line in the list in `../open.ts`. */
import type { Contents, Listing } from "../listing.ts";
import type { Remarks } from "../remarks.ts";

/** Says what takes its time, a line at a time. */
export type Progress = (line: string) => void;

/** Each way in returns undefined for what is not of its kind, and throws a DataError for what is, but is damaged. */
export interface ImageSource {
  /** Sets that go by a name, because they have an address. */
  readonly names?: readonly string[];
  /** Sees to it that one of them is there; its path. */
  fetch?(name: string, progress: Progress): Promise<string>;
  /** A single file that is no archive. */
  openFile?(path: string, remarks: Remarks): Promise<Contents | undefined>;
  /** The files in a folder or an archive. What is returned closes the listing; else the caller does. */
  openListing?(listing: Listing, progress: Progress): Promise<Contents | undefined>;
}
