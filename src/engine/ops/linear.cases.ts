/** Test cases of fully connected layers. */
import { cases, SUM } from "../cases.ts";
import {
  linearBackwardW,
  linearBackwardX,
  linearBackwardXNarrow,
  linearForward,
  linearForwardNarrow,
} from "./linear.ts";

export const linearCases = cases(({ add, random }) => {
  for (const [outputs, inputs, images] of [
    [1, 1, 1],
    [1, 17, 3],
    [65, 1, 1],
    [10, 129, 32],
    [67, 131, 65],
    [128, 64, 128],
    [3, 1500, 2],
    [64, 16, 130],
    [5, 1031, 4],
    [130, 67, 16],
    [1031, 64, 5],
    // For the variants: multiples of 4, but not of the tile.
    [1, 4, 4],
    [5, 12, 4],
    [130, 268, 132],
    [131, 263, 20],
  ] as const) {
    const uniforms = { outputs, inputs, images };
    const [w, x, dy, b] = [
      random(outputs * inputs),
      random(inputs * images),
      random(outputs * images),
      random(outputs),
    ];
    add(linearForwardNarrow, SUM, uniforms, { w, x, b, y: outputs * images });
    // The last split has fewer terms, or none.
    for (const splits of [1, 2, 7])
      add(linearForward, SUM, { ...uniforms, splits }, { w, x, b, y: splits * outputs * images });
    add(linearBackwardW, SUM, uniforms, { x, dy, dw: outputs * inputs });
    for (const accumulate of [0, 1]) {
      const dx = accumulate ? random(inputs * images) : new Float32Array(inputs * images).fill(NaN);
      add(linearBackwardXNarrow, SUM, { ...uniforms, accumulate }, { w, dy, dx });
      add(linearBackwardX, SUM, { ...uniforms, accumulate, splits: 1 }, { w, dy, dx });
    }
    for (const splits of [2, 7]) {
      add(linearBackwardX, SUM, { ...uniforms, accumulate: 0, splits }, { w, dy, dx: splits * inputs * images });
    }
  }
});
