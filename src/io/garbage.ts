/**
 * Short-lived memory beside JavaScript's heap, such as the bytes of files. The collector weighs it against all that is
 * alive, a network's memory among it, and lets as much pile up before it runs: it has to be told.
 */

/** As much may pile up. */
const COLLECT_BYTES = 64 * 2 ** 20;

let pile = 0;

/** Is told of bytes that this thread will not need for long; after enough of them, has them collected. */
export function dropped(bytes: number): void {
  pile += bytes;
  if (pile < COLLECT_BYTES) return;
  pile = 0;
  // At once: a collection that is only asked for doesn't give memory back to the system.
  Bun.gc(true);
}
