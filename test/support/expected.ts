/** What the plain loops make of a kernel's case, worked out once, however many devices are compared with it. */
import type { KernelCase } from "../../src/engine/cases.ts";
import { expectedOf, type Outputs } from "../../src/verbs/doctor/kernel_check.ts";

const known = new WeakMap<KernelCase, Promise<Outputs>>();

/** The expected results of a case; the same arrays on every call, to be read only. */
export function expectedOnce(each: KernelCase): Promise<Outputs> {
  let expected = known.get(each);
  if (!expected) known.set(each, (expected = expectedOf(each)));
  return expected;
}
