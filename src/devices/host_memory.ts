/** The memory of the machine. */
import { totalmem } from "node:os";

/** In bytes: what this process may use of it, as a container may have less than the machine. */
export function hostMemory(): number {
  return limited(totalmem());
}

/** `bytes`, or the limit of the container if that is less. */
export function limited(bytes: number): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(bytes, limit) : bytes;
}
