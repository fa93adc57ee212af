/** Test cases of the kernel that accumulates gradients. */
import { cases, ELEMENT, LINE_SIZES } from "./cases.ts";
import { accumulateKernel } from "./tape.ts";

export const tapeCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) add(accumulateKernel, ELEMENT, { size }, { x: random(size), y: random(size) });
});
