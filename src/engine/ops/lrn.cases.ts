/** Test cases of normalisation across maps. */
import { cases, ELEMENT } from "../cases.ts";
import { lrnBackward, lrnForward } from "./lrn.ts";

export const lrnCases = cases(({ add, random }) => {
  for (const [maps, plane, groupMaps, reach] of [
    [1, 1, 1, 2],
    [5, 65, 5, 2],
    [6, 33, 3, 2],
    [96, 7, 48, 2],
    [7, 70, 7, 9],
  ] as const) {
    const uniforms = { maps, plane, groupMaps, reach, k: 2, alpha: 0.3, beta: 0.75 };
    const size = maps * plane;
    add(lrnForward, ELEMENT, uniforms, { x: random(size, 3), y: size });
    add(lrnBackward, ELEMENT, uniforms, { x: random(size, 3), dy: random(size), dx: size });
  }
});
