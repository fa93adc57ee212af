/** Test cases of sums and differences. */
import { cases, ELEMENT, LINE_SIZES } from "../../cases.ts";
import { copyRun } from "./copy.ts";
import { addForward, subtractForward } from "./add.ts";

export const addCases = cases(({ add, random }) => {
  for (const [i, size] of LINE_SIZES.entries()) {
    const [a, b] = [random(size), random(size)];
    add(addForward, ELEMENT, { size, activation: i % 3 }, { a, b: b.map((v) => 8 * v), y: size });
    add(copyRun, 0, { size, xFirst: 0, yFirst: 0 }, { x: a, y: random(size) });
    add(subtractForward, ELEMENT, { size }, { a, b, y: size });
  }
});
