/** Cases of the kernel for copying a run. */
import { cases, LINE_SIZES } from "../../cases.ts";
import { copyRun } from "./copy.ts";

export const concatCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) {
    const [xFirst, yFirst] = [size % 5, size % 7];
    const [x, y] = [random(xFirst + size + 1), new Float32Array(yFirst + size + 1).fill(2)];
    add(copyRun, 0, { size, xFirst, yFirst }, { x, y });
  }
});
