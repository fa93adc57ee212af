/** Test cases of dropout. */
import { cases, ELEMENT } from "../cases.ts";
import { dropoutKernel } from "./dropout.ts";

export const dropoutCases = cases(({ add, random }) => {
  // keep 0.5: the multiplication is exact, so the mask must be too.
  const half = { threshold: 2 ** 31, scale: 2 };
  for (const size of [1, 65, 1009]) {
    const whole = { images: size, first: 0, whole: size };
    add(dropoutKernel, 0, { size, ...whole, key0: 0xdeadbeef, key1: size, ...half }, { x: random(size), y: size });
  }
  // Part of a batch's images; 61 × 299 elements are more than a worker takes at once.
  for (const [rows, images, first, whole] of [
    [5, 3, 4, 11],
    [61, 299, 299, 598],
  ] as const) {
    const size = rows * images;
    add(dropoutKernel, 0, { size, images, first, whole, key0: 3, key1: 9, ...half }, { x: random(size), y: size });
  }
  const uniforms = {
    ...{ size: 5003, images: 1, first: 0, whole: 1 },
    ...{ key0: 7, key1: 2 ** 32 - 1, threshold: 0.9 * 2 ** 32 - 0.4, scale: 1 / 0.9 },
  };
  add(dropoutKernel, ELEMENT, uniforms, { x: random(5003), y: 5003 });
});
