/** Cases of the kernel for copying a run. */
import { cases, LINE_SIZES } from "../cases.ts";
import { copyRun } from "./concat.ts";

export const concatCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) {
    for (const [xFirst, yFirst] of [
      [0, 3],
      [7, 0],
    ] as const) {
      add(copyRun, 0, { size, xFirst, yFirst }, { x: random(size + xFirst), y: random(size + yFirst + 1) });
    }
  }
});
