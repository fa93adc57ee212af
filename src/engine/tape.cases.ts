/** Test cases of the kernel that accumulates gradients. */
import { cases, ELEMENT, FOLDED_SIZE, LINE_SIZES } from "./cases.ts";
import { accumulateKernel } from "./tape.ts";

export const tapeCases = cases(({ add, random }) => {
  for (const size of [FOLDED_SIZE, ...LINE_SIZES])
    add(accumulateKernel, ELEMENT, { size }, { x: random(size), y: random(size) });
});
