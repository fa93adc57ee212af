/** Test cases of addition. */
import { cases, ELEMENT, LINE_SIZES } from "../cases.ts";
import { addBackward, addForward } from "./add.ts";

export const addCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) {
    add(addForward, ELEMENT, { size }, { a: random(size), b: random(size), y: size });
    add(addBackward, 0, { size }, { dy: random(size), dx: size });
  }
});
