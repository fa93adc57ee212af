/** Test cases of adding up partial sums. */
import { cases, ELEMENT } from "../cases.ts";
import { sumParts } from "./split.ts";

export const splitCases = cases(({ add, random }) => {
  for (const [size, count, accumulate] of [
    [1, 1, 0],
    [65, 2, 1],
    [1009, 7, 0],
    [1028, 3, 1],
  ] as const) {
    add(sumParts, ELEMENT, { size, count, accumulate }, { parts: random(count * size), y: random(size) });
  }
});
