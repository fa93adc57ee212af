/** Test cases of kernels whose activations are stored in half precision. */
import { largestCases, type KernelCase } from "../cases.ts";
import { elementType, type Kernel } from "../kernel.ts";
import { inHalf } from "./half.ts";

/** What kernels call activations and their gradients. */
const ACTIVATIONS = ["a", "x", "y", "z", "dx", "dy", "dz"];
/** Kernels in which others are activations too. */
const OTHERS: Readonly<Record<string, string>> = {
  ...{ add_forward: "b", subtract_forward: "b", plane_dot: "b", map_norm_forward: "s", map_norm_backward: "s" },
  softmax_cross_entropy_forward: "shares",
  softmax_cross_entropy_backward: "shares",
};
/** Kernels whose y is none: sums of rows are gradients of biases, and sums of parts mostly those of weights. */
const ONLY: Readonly<Record<string, readonly string[]>> = { row_sum: ["x"], sum_parts: [] };

/** The buffers of a kernel with activations or their gradients: what `--precision half` stores in half precision. */
export function activationsOf({ name: kernel, buffers }: Pick<Kernel, "name" | "buffers">): string[] {
  const names = ONLY[kernel] ?? [...ACTIVATIONS, OTHERS[kernel]];
  return Object.keys(buffers).filter((name) => names.includes(name) && elementType(buffers[name]!) === "f32");
}

/** Relative to the largest number expected: half precision rounds by up to 2⁻¹¹ = 5e-4. */
const TOLERANCE = 1e-3;

/** A case in half precision; and in single, with inputs rounded likewise, what it is compared with. */
export interface HalfCase {
  readonly half: KernelCase;
  readonly single: KernelCase;
}

/** For each kernel with activations and each of its variants, the largest of the cases. */
export function halfCases(cases: readonly KernelCase[]): HalfCase[] {
  return largestCases(cases).flatMap((each) => {
    const { kernel } = each;
    const names = activationsOf(kernel);
    if (names.length === 0) return [];
    const rounded = Object.entries(each.buffers).map(([name, given]) =>
      names.includes(name) && typeof given !== "number" ? ([name, Float16Array.from(given)] as const) : [name, given],
    );
    const widened = rounded.map(([name, given]) =>
      given instanceof Float16Array ? [name, Float32Array.from(given)] : [name, given],
    );
    const half = {
      ...each,
      kernel: inHalf(kernel, names),
      buffers: Object.fromEntries(rounded) as KernelCase["buffers"],
      tolerance: Math.max(each.tolerance, TOLERANCE),
    };
    return [{ half, single: { ...each, buffers: Object.fromEntries(widened) as KernelCase["buffers"] } }];
  });
}
