/** The interface of a kind of data set. To add one, add a file here and a line to the list in `../open.ts`. */
import type { Contents, Listing } from "../listing.ts";
import type { Remarks } from "../remarks.ts";

/** Called with a line about slow work. */
export type Progress = (line: string) => void;

/** Its functions return undefined for data of another kind, and throw a DataError for damaged data of their own. */
export interface ImageSource {
  /** Names of sets that can be downloaded. */
  readonly names?: readonly string[];
  /** Downloads one of them if it is missing. @returns its path */
  fetch?(name: string, progress: Progress): Promise<string>;
  /** Opens a single file that is not an archive. */
  openFile?(path: string, remarks: Remarks): Promise<Contents | undefined>;
  /** Opens the files in a folder or an archive. What is returned closes the listing; otherwise the caller does. */
  openListing?(listing: Listing, progress: Progress): Promise<Contents | undefined>;
}
