import type { Session } from "./session.ts";

/** Looks on at a training, which waits for it. */
export interface Watcher {
  /** A step is done, and the next may be queued already. */
  afterStep?(session: Session): Promise<void>;
  /** An epoch is done, and all of it saved. */
  afterEpoch?(session: Session): Promise<void>;
}
