/** Cases of the kernels for normalisation across maps together with max-pooling. */
import { cases, ELEMENT } from "../../cases.ts";
import { positions } from "../shapes.ts";
import { lrnMaxPoolBackward, lrnMaxPoolForward } from "./lrn_max_pool.ts";

export const lrnMaxPoolCases = cases(({ add, random, integers }) => {
  for (const [i, [images, c, h, w, stride, round, pad, groupMaps]] of (
    [
      [1, 1, 1, 1, 1, "up", 1, 1],
      [3, 6, 7, 5, 2, "up", 0, 3],
      [32, 5, 4, 6, 2, "down", 1, 5],
      [5, 67, 5, 3, 3, "up", 0, 67], // more maps than a thread takes
      [2, 36, 6, 9, 1, "down", 0, 18],
      [65, 2, 8, 9, 4, "up", 0, 2], // pixels that no window covers
    ] as const
  ).entries()) {
    const [oh, ow] = [positions(h, 3, stride, pad, round), positions(w, 3, stride, pad, round)];
    const uniforms = {
      ...{ images, c, h, w, oh, ow, window: 3, stride, pad, groupMaps, reach: 2 },
      ...{ k: 2, alpha: 0.3, beta: 0.75 },
    };
    const [size, outputs] = [images * c * h * w, images * c * oh * ow];
    // Numbers of which no two that differ come near each other: which is the largest must not depend on rounding.
    const x = Float32Array.from(integers(size, 5), (v) => v - 2);
    const argmax = new Uint32Array(outputs);
    lrnMaxPoolForward.reference({ x, y: new Float32Array(outputs), argmax }, uniforms);
    add(lrnMaxPoolForward, ELEMENT, uniforms, { x, y: outputs, argmax: outputs });
    add(lrnMaxPoolBackward, ELEMENT, { ...uniforms, activation: i % 3 }, { x, dy: random(outputs), argmax, dx: size });
  }
});
