/** Checks every kernel on a device against its reference loop in float64. */
import type { Backend } from "../../engine/backend.ts";
import { variantsOf, type KernelCase } from "../../engine/cases.ts";
import { casesOf, isGpu } from "../../engine/ops/cases.ts";
import { halfCases } from "../../engine/later/half_cases.ts";
import { checkCase, checkVariant, expectedOf } from "./kernel_check.ts";

export interface KernelReport {
  /** Number of kernels, of their variants, and of all sizes tried. */
  readonly kernels: number;
  readonly variants: number;
  readonly cases: number;
  /** Number of kernels and variants that were also tried in half precision; 0 on a device without. */
  readonly halves: number;
  /** The first size at which a kernel or variant is wrong, and how. */
  readonly wrong: readonly { readonly kernel: string; readonly sizes: string; readonly how: string }[];
  readonly seconds: number;
}

/**
 * @param progress called with the number of sizes done, and of all
 * @param cases all that the device can run, if not given
 * @throws DeviceError when the device fails
 */
export async function checkKernels(
  backend: Backend,
  progress: (done: number, total: number) => void,
  cases: readonly KernelCase[] = casesOf(backend.kind),
): Promise<KernelReport> {
  const start = performance.now();
  const names = { kernels: new Set<string>(), variants: new Set<string>(), halves: new Set<string>() };
  const wrong = new Map<string, KernelReport["wrong"][number]>();
  const note = (kernel: string, sizes: string, how: string | undefined) => {
    if (how !== undefined && !wrong.has(kernel)) wrong.set(kernel, { kernel, sizes, how });
  };
  const halves = backend.hasHalf && isGpu(backend.kind) ? halfCases(cases) : [];
  const total = cases.length + halves.length;
  let count = 0;
  for (const [done, each] of cases.entries()) {
    progress(done, total);
    names.kernels.add(each.kernel.name);
    note(each.kernel.name, each.title, await checkCase(backend, each, await expectedOf(each)));
    count++;
    for (const variant of isGpu(backend.kind) ? variantsOf(each) : []) {
      names.variants.add(variant.name);
      note(variant.name, each.title, await checkVariant(backend, each, variant));
      count++;
    }
    // Reference loops never yield; Ctrl-C and the progress line need their turn.
    await new Promise((resolve) => setTimeout(resolve));
  }
  for (const [done, { half, single }] of halves.entries()) {
    progress(cases.length + done, total);
    const expected = await expectedOf(single);
    for (const form of [half.kernel, ...variantsOf(half)]) {
      const kernel = { ...half.kernel, ...form };
      names.halves.add(form.name);
      note(form.name, half.title, await checkCase(backend, { ...half, kernel }, expected));
      count++;
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  const seconds = (performance.now() - start) / 1000;
  return {
    kernels: names.kernels.size,
    variants: names.variants.size,
    cases: count,
    halves: names.halves.size,
    wrong: [...wrong.values()],
    seconds,
  };
}

/** What is wrong, in words; undefined when nothing is. */
export function wordsOf({ wrong, kernels, variants, halves }: KernelReport): string | undefined {
  const [first] = wrong;
  if (!first) return undefined;
  const names = wrong.map(({ kernel }) => kernel).join(", ");
  return (
    `${wrong.length} of ${kernels + variants + halves} kernels are wrong (${names}): ` +
    `${first.kernel}, ${first.sizes}: ${first.how}`
  );
}
