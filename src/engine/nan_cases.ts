/**
 * Test cases with NaN in an input. A lost NaN hides a training that diverged, and compilers are free to lose it: most
 * make max(0, NaN) 0, and Metal's assumes that there is none. As in PyTorch, every result that depends on a NaN must be
 * NaN.
 */
import { largestCases, type KernelCase } from "./cases.ts";

/** For each kernel and each of its variants, the largest of `cases`, once for each input with NaN in it. */
export function nanCases(cases: readonly KernelCase[]): KernelCase[] {
  return largestCases(cases).flatMap((each) =>
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

/**
 * With NaN at the first, middle and last element: where a kernel takes several at once, and where it handles the
 * remainder.
 */
function withNaN(numbers: Float32Array): Float32Array {
  const copy = numbers.slice();
  for (const place of [0, copy.length >> 1, copy.length - 1]) copy[place] = NaN;
  return copy;
}
