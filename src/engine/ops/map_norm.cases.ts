/** Test cases of normalisation within maps. */
import { cases, ELEMENT } from "../cases.ts";
import { mapNormBackward, mapNormForward } from "./map_norm.ts";

export const mapNormCases = cases(({ add, random, positive }) => {
  for (const [images, c, h, w, reach] of [
    [1, 1, 1, 1, 0],
    [1, 2, 3, 5, 1],
    [3, 1, 7, 2, 2],
    [65, 3, 4, 5, 4],
  ] as const) {
    const uniforms = { images, c, h, w, reach, k: 1, alpha: 0.2, beta: 0.75 };
    const size = images * c * h * w;
    add(mapNormForward, ELEMENT, uniforms, { x: random(size, 3), y: size, s: size });
    add(mapNormBackward, ELEMENT, uniforms, { x: random(size), s: positive(size), dy: random(size), dx: size });
  }
});
