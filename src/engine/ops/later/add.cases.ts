/** Test cases of sums and differences. */
import { cases, ELEMENT, LINE_SIZES } from "../../cases.ts";
import { addBackward, addForward, subtractForward } from "./add.ts";

export const addCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) {
    const [a, b] = [random(size), random(size)];
    add(addForward, ELEMENT, { size }, { a, b, y: size });
    add(addBackward, 0, { size }, { dy: a, dx: size });
    add(subtractForward, ELEMENT, { size }, { a, b, y: size });
  }
});
