/** Test cases of normalisation across maps. */
import { cases, ELEMENT } from "../cases.ts";
import { lrnBackward, lrnForward } from "./lrn.ts";

export const lrnCases = cases(({ add, random }) => {
  for (const [i, [maps, plane, groupMaps, reach]] of (
    [
      [1, 1, 1, 2],
      [5, 65, 5, 2],
      [6, 33, 3, 2],
      [96, 7, 48, 2],
      [7, 70, 7, 9],
      [66, 9, 66, 2], // more maps than a thread of the variants takes
      [36, 5, 18, 2],
    ] as const
  ).entries()) {
    const uniforms = { maps, plane, groupMaps, reach, k: 2, alpha: 0.3, beta: 0.75 };
    const size = maps * plane;
    add(lrnForward, ELEMENT, uniforms, { x: random(size, 3), y: size });
    // ReLU6 has no slope from 6 on.
    const x = random(size, i % 3 === 2 ? 8 : 3);
    add(lrnBackward, ELEMENT, { ...uniforms, activation: i % 3 }, { x, dy: random(size), dx: size });
  }
});
