/** Test cases of the gradient of activation functions that other ops apply. */
import { cases, LINE_SIZES } from "../../cases.ts";
import { epilogueBackward } from "./epilogue.ts";

const CORNERS = Float32Array.of(NaN, 0, -0, 6, Infinity, 1e-30, 5.9999995, 3);

export const epilogueCases = cases(({ add, random }) => {
  for (const activation of [0, 1, 2]) {
    add(epilogueBackward, 0, { size: 8, activation }, { y: CORNERS, dy: random(8) });
    for (const size of LINE_SIZES) {
      const y = random(size, 12).map((z) => (activation === 0 ? z : Math.max(0, Math.min(z, 6 * activation))));
      add(epilogueBackward, 0, { size, activation }, { y, dy: random(size) });
    }
  }
});
