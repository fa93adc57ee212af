/** Cases of the kernel for a step of AdamW. */
import { cases, ELEMENT } from "../../cases.ts";
import { adamwKernel } from "./adamw.ts";

export const adamwCases = cases(({ add, random, positive }) => {
  for (const size of [1, 65, 1009, 1028]) {
    const uniforms = {
      ...{ size, rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.01 },
      ...{ step: 0.01, scale: 31.6 },
    };
    add(adamwKernel, ELEMENT, uniforms, { w: random(size), m: random(size, 0.1), v: positive(size), dw: random(size) });
  }
});
