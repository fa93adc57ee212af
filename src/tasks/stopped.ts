/** Work that a signal can stop: it then rejects with the signal's reason. */

/** What `work` resolves to; undefined when it rejected because the signal stopped it. */
export function unlessStopped<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  });
}
