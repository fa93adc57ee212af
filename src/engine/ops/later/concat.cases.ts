/** Cases of the kernel for copying a run. */
import { cases, LINE_SIZES } from "../../cases.ts";
import { copyRun } from "./copy.ts";

/** Of four, as the kernel's variant needs them. */
const MULTIPLES = [1028, 8, 4] as const;

export const concatCases = cases(({ add, random }) => {
  for (const [size, xFirst, yFirst] of [...LINE_SIZES.map((size) => [size, size % 5, size % 7] as const), MULTIPLES]) {
    const [x, y] = [random(xFirst + size + 1), new Float32Array(yFirst + size + 1).fill(2)];
    add(copyRun, 0, { size, xFirst, yFirst }, { x, y });
  }
});
