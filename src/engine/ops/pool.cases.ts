/** Test cases of pooling. */
import { cases, ELEMENT } from "../cases.ts";
import { averagePoolBackward, averagePoolForward, maxPoolBackward, maxPoolForward } from "./pool.ts";
import { positions } from "./shapes.ts";

export const poolCases = cases(({ add, random, integers }) => {
  for (const [i, [images, c, h, w, window, stride, round, pad = 0]] of (
    [
      [1, 1, 1, 1, 1, 1, "up"],
      [3, 2, 7, 5, 3, 2, "up"],
      [32, 1, 8, 6, 3, 2, "up"],
      [65, 3, 8, 9, 3, 2, "down"],
      [1, 5, 11, 7, 2, 3, "up"], // pixels that no window covers
      [2, 1, 6, 7, 6, 1, "down"],
      [5, 2, 9, 10, 4, 3, "up"],
      [33, 7, 5, 5, 2, 1, "up"],
      [3, 2, 6, 9, 3, 2, "down", 1],
      [34, 1, 7, 4, 5, 3, "up", 2],
      [2, 3, 1, 2, 2, 1, "up", 1],
    ] as const
  ).entries()) {
    const [oh, ow] = [positions(h, window, stride, pad, round), positions(w, window, stride, pad, round)];
    const uniforms = { images, c, h, w, oh, ow, window, stride, pad };
    const [size, outputs] = [images * c * h * w, images * c * oh * ow];
    // Only five different values, so that there are ties: the first must win. ReLU6 has no slope at 6.
    const x = Float32Array.from(integers(size, 5), (v) => 3 * v - 6);
    const argmax = new Uint32Array(outputs);
    const activated = { ...uniforms, activation: i % 3 };
    maxPoolForward.reference({ x, y: new Float32Array(outputs), argmax }, activated);
    add(maxPoolForward, 0, activated, { x, y: outputs, argmax: outputs });
    add(maxPoolBackward, ELEMENT, uniforms, { dy: random(outputs), argmax, dx: size });
    add(averagePoolForward, ELEMENT, uniforms, { x: random(size), y: outputs });
    add(averagePoolBackward, ELEMENT, uniforms, { dy: random(outputs), dx: size });
  }
});
