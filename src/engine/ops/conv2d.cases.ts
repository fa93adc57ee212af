/** Test cases of convolution. */
import { cases, SUM } from "../cases.ts";
import type { Workgroups } from "../kernel.ts";
import { conv2dBackwardW, conv2dBackwardX, conv2dForward } from "./conv2d.ts";
import { padBefore, positions } from "./shapes.ts";

/** images, c, h, w, o, kh, kw, stride, pad, groups */
const SIZES = [
  [1, 1, 1, 1, 1, 1, 1, 1, 0, 1],
  [3, 3, 23, 27, 5, 11, 11, 4, 0, 1], // conv1
  [32, 6, 7, 7, 10, 5, 5, 1, 2, 2], // conv2
  [65, 9, 5, 3, 6, 3, 3, 1, 1, 3],
  [1, 7, 9, 8, 13, 3, 2, 2, 1, 1],
  [2, 70, 4, 5, 67, 3, 3, 1, 1, 1], // more filters and maps than fit in a tile
  [1, 140, 3, 3, 130, 3, 3, 1, 1, 2],
  [3, 2, 3, 3, 4, 5, 5, 1, 1, 1], // image smaller than the window
  [5, 2, 8, 11, 3, 2, 2, 3, 0, 1], // pixels that no window covers
  [3, 17, 3, 5, 19, 1, 1, 1, 0, 1],
  [2, 2, 3, 25, 3, 1, 19, 1, 2, 1],
  [129, 1, 6, 8, 2, 3, 3, 2, 0, 1], // no window covers the last row and column
  [1, 4, 14, 13, 8, 7, 5, 4, 2, 2],
  // For the variants, which process four images at once: the same kinds of sizes, and more than a tile of each.
  [4, 1, 1, 1, 1, 1, 1, 1, 0, 1],
  [4, 3, 23, 27, 5, 11, 11, 4, 0, 1],
  [12, 6, 7, 5, 10, 5, 5, 1, 2, 2],
  [4, 130, 4, 5, 133, 3, 3, 1, 1, 1],
  [20, 98, 3, 2, 106, 3, 1, 1, 1, 2],
  [8, 5, 8, 11, 3, 2, 2, 3, 0, 1],
  [132, 3, 3, 4, 7, 3, 3, 2, 1, 1],
  [4, 17, 3, 5, 19, 1, 1, 1, 0, 1],
  // More padding below and on the right than above and on the left.
  [3, 5, 8, 6, 7, 3, 3, 2, "same", 1],
  [4, 6, 6, 6, 4, 5, 5, 2, "same", 2],
  [8, 2, 5, 5, 3, 2, 2, 1, "same", 1],
  [5, 3, 7, 7, 2, 4, 4, 3, "same", 1],
] as const;

/** Sizes of convolutions, with padding, strides and groups. */
export const convolutions = SIZES.map(([images, c, h, w, o, kh, kw, stride, padding, groups]) => {
  const [oh, ow] = [positions(h, kh, stride, padding, "down"), positions(w, kw, stride, padding, "down")];
  const pad = padBefore("case", [h, w], [kh, kw], stride, padding);
  return { images, c, h, w, o, oh, ow, kh, kw, stride, pad, groups };
});

export const conv2dCases = cases(
  ({ add, random }) => {
    for (const [i, uniforms] of convolutions.entries()) {
      const { images, c, h, w, o, oh, ow, kh, kw, groups } = uniforms;
      const weights = random(o * (c / groups) * kh * kw);
      const [x, dy] = [random(c * h * w * images), random(o * oh * ow * images)];
      const after = { scaled: i & 1, activation: i % 3 };
      add(
        conv2dForward,
        SUM,
        { ...uniforms, ...after },
        { x, w: weights, s: random(o, 2), b: random(o), y: dy.length },
      );
      add(conv2dBackwardX, SUM, uniforms, { w: weights, dy, dx: x.length });
      for (const splits of [1, 2, 5]) {
        add(conv2dBackwardW, SUM, { ...uniforms, splits }, { x, dy, dw: splits * weights.length });
      }
    }

    // Column tiles folded into three rows, as in a dispatch that would be too long in one.
    const uniforms = { images: 33, c: 4, h: 5, w: 3, o: 6, oh: 5, ow: 3, kh: 3, kw: 3, stride: 1, pad: 1, groups: 2 };
    const folded = { workgroups: (): Workgroups => [Math.ceil((33 * 5 * 3) / 64 / 3), 1, 3 * 2] };
    const [x, dy, w] = [random(33 * 4 * 5 * 3), random(33 * 6 * 5 * 3), random(6 * 2 * 3 * 3)];
    add(
      { ...conv2dForward, ...folded, variants: [] },
      SUM,
      { ...uniforms, scaled: 1, activation: 2 },
      { x, w, s: random(6, 2), b: random(6), y: dy.length },
    );
    add({ ...conv2dBackwardX, ...folded, variants: [] }, SUM, uniforms, { w, dy, dx: x.length });
  },
  // The zeros around an image are multiplied by weights too, and the cpu may compute a whole tile at once.
  { spreads: true },
);
