/** Cases of the kernels for sums and differences. */
import { cases, ELEMENT, LINE_SIZES } from "../cases.ts";
import { addBackward, addForward, subtractForward } from "./add.ts";

export const addCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) {
    add(addForward, ELEMENT, { size }, { a: random(size), b: random(size), y: size });
    add(addBackward, 0, { size }, { dy: random(size), dx: size });
    add(subtractForward, ELEMENT, { size }, { a: random(size), b: random(size), y: size });
  }
});
