/** A kernel with inputs, run on a device and compared with its plain loop in float64. */
import type { Backend, HostArray } from "../../engine/backend.ts";
import type { KernelCase } from "../../engine/cases.ts";
import { access, elementType, type Variant } from "../../engine/kernel.ts";
import { openReference } from "../../engine/reference.ts";
import { difference } from "./numbers.ts";

/** What a case wrote, by buffer. */
export type Results = ReadonlyMap<string, HostArray>;

/** Runs a case and returns what it wrote. Results are NaN (or all ones) beforehand, so that one left out shows. */
export async function runCase(backend: Backend, { kernel, buffers, uniforms }: KernelCase): Promise<Results> {
  const made = Object.fromEntries(
    Object.entries(kernel.buffers).map(([name, spec]) => {
      const given = buffers[name]!;
      const length = typeof given === "number" ? given : given.length;
      const buffer = backend.allocate(elementType(spec), length);
      const unwritten =
        elementType(spec) === "u32" ? new Uint32Array(length).fill(~0) : new Float32Array(length).fill(NaN);
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

/** What a case must write. */
export function expectedOf(each: KernelCase): Promise<Results> {
  return runCase(openReference("f64"), each);
}

/** Where a device is wrong, in words; undefined when it is right. @throws DeviceError */
export async function checkCase(backend: Backend, each: KernelCase, expected: Results): Promise<string | undefined> {
  const actual = await runCase(backend, withoutVariants(each));
  return firstDifference(actual, expected, each.tolerance, each.spreads);
}

/**
 * A variant may be taken instead of its kernel on any run: it must compute the same to the last bit, or as close as the
 * kernel itself has to where the device reorders sums.
 */
export async function checkVariant(backend: Backend, each: KernelCase, variant: Variant): Promise<string | undefined> {
  const base = await runCase(backend, withoutVariants(each));
  const actual = await runCase(backend, withoutVariants({ ...each, kernel: { ...each.kernel, ...variant } }));
  return firstDifference(actual, base, backend.reordersSums ? each.tolerance : 0);
}

/** So that it is this WGSL that runs, whatever the device found to be faster. */
function withoutVariants(each: KernelCase): KernelCase {
  return { ...each, kernel: { ...each.kernel, variants: [] } };
}

function firstDifference(actual: Results, expected: Results, tolerance: number, spreads = false): string | undefined {
  for (const [name, numbers] of expected) {
    const allowed = numbers instanceof Uint32Array ? 0 : tolerance;
    const found = actual.get(name)!;
    const wanted = spreads ? numbers.map((value, i) => (Number.isNaN(found[i]) ? NaN : value)) : numbers;
    const wrong = difference(name, found, wanted, allowed);
    if (wrong) return wrong;
  }
  return undefined;
}
