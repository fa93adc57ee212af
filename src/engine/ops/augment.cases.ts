/** Test cases of augmentation. */
import { cases, ELEMENT } from "../cases.ts";
import { augmentKernel, VIEW, VIEW_LENGTH } from "./augment.ts";

export const augmentCases = cases(
  ({ add, random, integers, newStream }) => {
    for (const [images, side, crop] of [
      [1, 1, 1],
      [1, 5, 5],
      [3, 9, 7],
      [65, 6, 5],
    ] as const) {
      const uniforms = { images, side, crop };
      const stream = newStream();
      /** Start and end: two whole numbers in ascending order. */
      const range = (end: number) => {
        const start = stream.integer(end);
        return [start, start + 1 + stream.integer(end - start)] as const;
      };
      const box = () => {
        const [[top, bottom], [left, right]] = [range(crop), range(crop)];
        return [top, left, bottom, right];
      };
      /** Crops reach beyond the image by less than its side. */
      const outside = () => stream.integer(2 * Math.min(side, 3) - 1) - Math.min(side - 1, 2);
      const usual = () => [
        ...[stream.integer(side - crop + 1) + outside(), stream.integer(side - crop + 1) + outside()],
        ...[stream.integer(2), 1 / 128],
        ...random(3, 9),
      ];
      const rest = new Array<number>(VIEW_LENGTH - VIEW.extended - 1).fill(NaN);
      const extended = () => {
        const [[top, bottom], [left, right]] = [range(side), range(side)];
        return [
          ...[
            top + outside(),
            left + outside(),
            stream.integer(2),
            1 / 128,
            ...random(3, 9),
            1,
            bottom - top,
            right - left,
            ...random(9, 2),
          ],
          ...[...box(), stream.integer(images), [0, 0.3, 1][stream.integer(3)]!, ...box(), NaN, NaN, NaN],
        ];
      };
      // Simple views, extended ones, and a batch of both.
      const kinds = [() => [...usual(), 0, ...rest], extended];
      for (const kind of [(_: number) => 0, () => 1, (n: number) => n % 2]) {
        add(augmentKernel, ELEMENT, uniforms, {
          pixels: Uint8Array.from(integers(images * side * side * 3, 256)),
          views: Float32Array.from(Array.from({ length: images }, (_, n) => kinds[kind(n)]!()).flat()),
          mean: random(side * side * 3, 20).map((v) => v + 110),
          x: 3 * crop * crop * images,
        });
      }
    }
  },
  // Views are coordinates and boxes.
  { never: ["views"] },
);
