/** Test cases of locally connected layers. */
import { cases, SUM } from "../cases.ts";
import { convolutions } from "./conv2d.cases.ts";
import { local2dBackwardW, local2dBackwardX, local2dForward } from "./local2d.ts";

export const local2dCases = cases(
  ({ add, random }) => {
    for (const { groups, ...uniforms } of convolutions) {
      const { images, c, h, w, o, oh, ow, kh, kw } = uniforms;
      if (groups > 1 || c > 50) continue;
      const weights = random(o * oh * ow * c * kh * kw);
      const [x, dy] = [random(c * h * w * images), random(o * oh * ow * images)];
      add(local2dForward, SUM, uniforms, { x, w: weights, b: random(o * oh * ow), y: dy.length });
      add(local2dBackwardX, SUM, uniforms, { w: weights, dy, dx: x.length });
      add(local2dBackwardW, SUM, uniforms, { x, dy, dw: weights.length });
    }
  },
  // As for conv2d.
  { spreads: true },
);
