/** Test cases of ReLU and tanh. */
import { cases, ELEMENT, LINE_SIZES, TANH } from "../cases.ts";
import { reluBackward, reluForward, tanhBackward, tanhForward } from "./activation.ts";

export const activationCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) add(reluForward, 0, { size }, { x: random(size), y: size });
  const special = [NaN, Infinity, -Infinity, 0, -0, 1e-30, -1e30];
  add(reluForward, 0, { size: 7 }, { x: Float32Array.from(special), y: 7 });
  add(tanhForward, TANH, { size: 7 }, { x: Float32Array.from(special), y: 7 });
  for (const size of [1, 65, 1009]) {
    add(reluBackward, 0, { size }, { y: random(size).map((v) => Math.max(0, v)), dy: random(size), dx: size });
    // ±200: e^200 overflows float32.
    for (const scale of [0.1, 3, 200]) add(tanhForward, TANH, { size }, { x: random(size, scale), y: size });
    add(tanhBackward, ELEMENT, { size }, { y: random(size), dy: random(size), dx: size });
  }
});
