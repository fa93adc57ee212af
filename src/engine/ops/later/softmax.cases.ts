/** Cases of the kernels for softmax. */
import { cases, ELEMENT } from "../../cases.ts";
import { softmaxBackward, softmaxForward } from "./softmax.ts";

export const softmaxCases = cases(({ add, random }) => {
  for (const [classes, columns, scale] of [
    [1, 1, 1],
    [2, 3, 2],
    [10, 65, 200],
    [1000, 5, 8],
    [3, 1009, 20],
  ] as const) {
    const [uniforms, size] = [{ classes, columns }, classes * columns];
    add(softmaxForward, ELEMENT, uniforms, { x: random(size, scale), y: size });
    add(softmaxBackward, ELEMENT, uniforms, { y: random(size), dy: random(size), dots: random(columns), dx: size });
  }
});
