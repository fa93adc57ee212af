/** Runs kernels on a device and compares their results with the reference loops in float64. */
import { ARRAYS, type Backend, type HostArray } from "../../engine/backend.ts";
import type { KernelCase } from "../../engine/cases.ts";
import { access, elementType, type Variant } from "../../engine/kernel.ts";
import { openReference } from "../../engine/reference.ts";
import { difference } from "./numbers.ts";

/** The contents of a case's outputs, by buffer. */
export type Outputs = ReadonlyMap<string, HostArray>;

/** Runs a case. Its outputs are filled with NaN (or all ones) beforehand, so that missing writes show. */
export async function runCase(backend: Backend, { kernel, buffers, uniforms }: KernelCase): Promise<Outputs> {
  const made = Object.fromEntries(
    Object.entries(kernel.buffers).map(([name, spec]) => {
      const given = buffers[name]!;
      const length = typeof given === "number" ? given : given.length;
      const type = elementType(spec);
      const unwritten = new ARRAYS[type](length).fill(type === "u32" ? ~0 : NaN);
      const buffer = backend.allocate(type, length);
      backend.write(buffer, typeof given === "number" ? unwritten : given);
      return [name, buffer] as const;
    }),
  );
  backend.run(kernel, made, uniforms);
  const results = new Map<string, HostArray>();
  for (const [name, spec] of Object.entries(kernel.buffers)) {
    if (access(spec) !== "read") results.set(name, await backend.read(made[name]!));
  }
  for (const buffer of Object.values(made)) backend.free(buffer);
  return results;
}

/** A case's correct outputs. */
export function expectedOf(each: KernelCase): Promise<Outputs> {
  return runCase(openReference("f64"), each);
}

/** Where a device's outputs differ, in words; undefined if nowhere. @throws DeviceError */
export async function checkCase(backend: Backend, each: KernelCase, expected: Outputs): Promise<string | undefined> {
  const actual = await runCase(backend, withoutVariants(each));
  return firstDifference(actual, expected, each.tolerance, each.spreads);
}

/**
 * Compares a variant with its kernel, which it may replace in any run: the results must be equal within the kernel's own
 * tolerance, or bit for bit. They are, unless the device reorders sums, or its driver fuses a multiplication with an
 * addition in one of the two and not in the other.
 */
export async function checkVariant(
  backend: Backend,
  each: KernelCase,
  variant: Variant,
  { exactly = false } = {},
): Promise<string | undefined> {
  const base = await runCase(backend, withoutVariants(each));
  const actual = await runCase(backend, withoutVariants({ ...each, kernel: { ...each.kernel, ...variant } }));
  return firstDifference(actual, base, exactly && !backend.reordersSums ? 0 : each.tolerance);
}

/** Ensures that the kernel's own WGSL runs, whatever the device found to be faster. */
function withoutVariants(each: KernelCase): KernelCase {
  return { ...each, kernel: { ...each.kernel, variants: [] } };
}

function firstDifference(actual: Outputs, expected: Outputs, tolerance: number, spreads = false): string | undefined {
  for (const [name, numbers] of expected) {
    const allowed = numbers instanceof Uint32Array ? 0 : tolerance;
    const found = actual.get(name)!;
    const wanted = spreads ? numbers.map((value, i) => (Number.isNaN(found[i]) ? NaN : value)) : numbers;
    const wrong = difference(name, found, wanted, allowed);
    if (wrong) return wrong;
  }
  return undefined;
}
