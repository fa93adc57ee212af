/** Cases of the kernels for products, element by element and with a number for each map, and for their sums. */
import { cases, ELEMENT, LINE_SIZES, SUM } from "../../cases.ts";
import { multiplyKernel, planeDot, scaleKernel } from "./multiply.ts";
import { globalAveragePoolForward } from "./global_average_pool.ts";

export const multiplyCases = cases(({ add, random }) => {
  const elements = (size: number, plane: number, images: number) => {
    const [uniforms, b] = [{ size, plane, images }, random(size / plane)];
    add(multiplyKernel, ELEMENT, uniforms, { a: random(size), b, y: size });
    add(scaleKernel, ELEMENT, { ...uniforms, factor: -0.7 }, { x: b, y: size });
  };
  for (const size of LINE_SIZES) elements(size, 1, 1);
  for (const [maps, plane, images] of [
    [1, 1, 1],
    [3, 7, 1], // as of one image
    [1, 40_009, 1], // as of all elements
    [5, 4, 3],
    [2, 289, 67],
    [67, 2, 33],
    [2, 5, 300],
  ] as const) {
    const [sizes, size, y] = [{ maps, plane, images }, maps * plane * images, maps * images];
    const [a, b] = [random(size), random(size)];
    elements(size, plane, images);
    add(planeDot, SUM, sizes, { a, b, y });
    add(globalAveragePoolForward, SUM, sizes, { x: a, y });
  }
});
