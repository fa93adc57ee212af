/**
 * Test cases with NaN in an input. A lost NaN hides a training that diverged, and compilers are free to lose it: most
 * make max(0, NaN) 0, and Metal's assumes that there is none. As in PyTorch, every result that depends on a NaN must be
 * NaN.
 */
import { variantsOf, type KernelCase } from "./cases.ts";

/** Larger cases show nothing more. */
const MAX_ELEMENTS = 40_000;

/** For each kernel and each of its variants, the largest of `cases`, once for each input with NaN in it. */
export function nanCases(cases: readonly KernelCase[]): KernelCase[] {
  const largest = new Map<string, KernelCase>();
  for (const each of cases) {
    const size = numbersOf(each);
    for (const { name } of [each.kernel, ...variantsOf(each)]) {
      const before = largest.get(name);
      if (size <= MAX_ELEMENTS && size > (before ? numbersOf(before) : 0)) largest.set(name, each);
    }
  }
  return [...new Set(largest.values())].flatMap((each) =>
    Object.entries(each.buffers).flatMap(([name, given]) =>
      given instanceof Float32Array && !each.nan?.never?.includes(name)
        ? [
            {
              ...each,
              title: `${each.title}, NaN in ${name}`,
              buffers: { ...each.buffers, [name]: withNaN(given) },
              spreads: each.nan?.spreads ?? false,
            },
          ]
        : [],
    ),
  );
}

function numbersOf({ buffers }: KernelCase): number {
  return Object.values(buffers).reduce<number>(
    (sum, given) => sum + (typeof given === "number" ? given : given.length),
    0,
  );
}

/**
 * With NaN at the first, middle and last element: where a kernel takes several at once, and where it handles the
 * remainder.
 */
function withNaN(numbers: Float32Array): Float32Array {
  const copy = numbers.slice();
  for (const place of [0, copy.length >> 1, copy.length - 1]) copy[place] = NaN;
  return copy;
}
