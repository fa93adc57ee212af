/** Fewer of the kernels' cases, for devices that are slow. Runs in pages too. */
import type { KernelCase } from "../../src/engine/cases.ts";

const sizeOf = ({ buffers }: KernelCase): number =>
  Object.values(buffers).reduce<number>((sum, given) => sum + (typeof given === "number" ? given : given.length), 0);

/** Those whose buffers have at most `most` elements together. */
export function smallCases(cases: readonly KernelCase[], most: number): KernelCase[] {
  return cases.filter((each) => sizeOf(each) <= most);
}

/** Of each kernel the largest of those. */
export function oneOfEach(cases: readonly KernelCase[], most: number): KernelCase[] {
  const byKernel = Map.groupBy(smallCases(cases, most), ({ kernel }) => kernel.name);
  return [...byKernel.values()].map((own) => own.reduce((best, each) => (sizeOf(each) > sizeOf(best) ? each : best)));
}
