/** The doctor's check of all kernels, which goes on after a kernel that the device refuses. */
import type { Backend } from "../../../engine/backend.ts";
import { variantsOf } from "../../../engine/cases.ts";
import { casesOf } from "../../../engine/ops/cases.ts";
import { AlexNetError, DeviceLostError } from "../../../errors.ts";
import { checkKernels } from "../../../verbs/doctor/kernels.ts";
import type { KernelResult } from "./report.ts";

/**
 * @param name only kernels whose name it is a part of
 * @param progress told of each kernel before its next size is tried
 * @returns a result for each kernel and variant, and the number of sizes that they were tried at
 * @throws DeviceLostError
 */
export async function checkAllKernels(
  backend: Backend,
  name: string,
  progress: (kernel: string, done: number, total: number) => void,
): Promise<{ readonly kernels: readonly KernelResult[]; readonly cases: number }> {
  const cases = casesOf(backend.kind).filter(({ kernel }) => kernel.name.includes(name));
  const results: KernelResult[] = [];
  let [before, tried] = [0, 0];
  for (const [kernel, own] of Map.groupBy(cases, (each) => each.kernel.name)) {
    const variants = backend.kind === "cpu" ? [] : own.flatMap(variantsOf).map((variant) => variant.name);
    const names = [kernel, ...new Set(variants)];
    try {
      const report = await checkKernels(
        backend,
        (done) => progress(kernel, before + Math.min(done, own.length), cases.length),
        own,
      );
      tried += report.cases;
      const wrong = new Map(report.wrong.map(({ kernel, sizes, how }) => [kernel, `${sizes}: ${how}`]));
      // Of those in half precision, only what is wrong is told.
      for (const name of new Set([...names, ...wrong.keys()])) {
        const how = wrong.get(name);
        results.push({ name, ...(how !== undefined && { wrong: how }) });
      }
    } catch (error) {
      if (!(error instanceof AlexNetError) || error instanceof DeviceLostError) throw error;
      for (const name of names) results.push({ name, wrong: `not run: ${error.message}` });
    }
    before += own.length;
  }
  return { kernels: results, cases: tried };
}
