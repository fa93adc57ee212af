/** Test cases of a step of SGD. */
import { cases, ELEMENT } from "../cases.ts";
import { sgdKernel } from "./sgd.ts";

export const sgdCases = cases(({ add, random }) => {
  for (const size of [1, 65, 1009, 1028]) {
    for (const ahead of [0, 1]) {
      const uniforms = { size, rate: 0.01, momentum: 0.9, decay: 0.0005, ahead };
      add(sgdKernel, ELEMENT, uniforms, { w: random(size), v: random(size, 0.1), dw: random(size) });
    }
  }
});
