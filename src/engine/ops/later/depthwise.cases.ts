/** Cases of the kernels for depthwise convolution. */
import { cases, SUM } from "../../cases.ts";
import { depthwiseBackwardW, depthwiseBackwardX, depthwiseForward } from "./depthwise.ts";
import { padBefore, positions } from "../shapes.ts";

/** images, c, h, w, kh, kw, stride, pad */
const SIZES = [
  [1, 1, 1, 1, 1, 1, 1, 0],
  [3, 5, 7, 9, 3, 3, 1, 1],
  [1, 2, 13, 37, 3, 3, 1, 1], // one image: neighbouring pixels share a vector
  [2, 3, 9, 11, 5, 5, 1, 2],
  [21, 2, 6, 8, 3, 3, 2, 1],
  [65, 3, 5, 4, 7, 7, 1, 3],
  [4, 2, 23, 19, 7, 7, 4, 3],
  [5, 4, 6, 6, 3, 3, 2, "same"], // padding below and on the right alone
  [2, 3, 9, 7, 6, 6, 1, "same"],
  [3, 2, 3, 3, 5, 5, 1, 1], // the image is smaller than the window
  [2, 2, 3, 2, 3, 3, 1, 5], // windows that hold no pixel
  [5, 2, 8, 11, 2, 2, 3, 0], // pixels that no window holds
  [3, 7, 4, 9, 1, 6, 1, 0],
  [1, 67, 5, 5, 4, 3, 2, 1],
  [16, 1, 14, 13, 11, 11, 1, 5],
  [33, 9, 17, 10, 3, 3, 1, 1],
] as const;

export const depthwiseCases = cases(({ add, random }) => {
  for (const [i, [images, c, h, w, kh, kw, stride, padding]] of SIZES.entries()) {
    const [oh, ow] = [positions(h, kh, stride, padding, "down"), positions(w, kw, stride, padding, "down")];
    const pad = padBefore("case", [h, w], [kh, kw], stride, padding);
    const uniforms = { images, c, h, w, oh, ow, kh, kw, stride, pad };
    const weights = random(c * kh * kw);
    const [x, dy] = [random(c * h * w * images), random(c * oh * ow * images)];
    const after = { scaled: i & 1, activation: i % 3 };
    add(depthwiseForward, SUM, { ...uniforms, ...after }, { x, weights, s: random(c, 2), b: random(c), y: dy.length });
    add(depthwiseBackwardX, SUM, uniforms, { weights, dy, dx: x.length });
    for (const splits of [1, 2, 5]) {
      add(depthwiseBackwardW, SUM, { ...uniforms, splits }, { x, dy, dw: splits * weights.length });
    }
  }
});
