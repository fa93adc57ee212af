/** Cases of the kernels for a step of Muon, besides matrix products. */
import { cases, ELEMENT, LINE_SIZES, SUM } from "../../cases.ts";
import { axpbyKernel } from "./axpby.ts";
import { gramScale, newtonSchulz } from "./muon.ts";

export const muonCases = cases(({ add, random, positive }) => {
  for (const size of LINE_SIZES) {
    add(axpbyKernel, ELEMENT, { size, alpha: -0.7, beta: 0.9 }, { x: random(size), y: random(size) });
  }
  for (const side of [1, 7, 65, 131]) {
    const gram = positive(side * side);
    add(gramScale, SUM, { side, epsilon: 1e-7 }, { gram, scale: 1 });
    const uniforms = { side, a: 3.4445, b: -4.775, c: 2.0315 };
    add(newtonSchulz, ELEMENT, uniforms, { gram, scale: positive(1), y: random(side * side) });
  }
});
