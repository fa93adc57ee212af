/** Several ways to compute the same that round differently, such as a convolution's: the device keeps to one of them. */
import type { Backend } from "../../backend.ts";
import type { Kernel } from "../../kernel.ts";

/**
 * Queues the fastest way of those given by name; the first one where the device doesn't measure.
 * @param kernel with `sizes`, what is computed: the device keeps its choice under them
 */
export function runFastest<B extends string, U extends string>(
  backend: Backend,
  kernel: Kernel<B, U>,
  sizes: Readonly<Record<string, number>>,
  ways: Readonly<Record<string, () => void>>,
): void {
  const [first = "", ...others] = Object.keys(ways);
  const chosen = others.length > 0 ? backend.fastest?.(kernel as unknown as Kernel, sizes, ways) : first;
  ways[chosen !== undefined && Object.hasOwn(ways, chosen) ? chosen : first]!();
}
