/**
 * Cases: the sizes and inputs that a kernel is tried at. Those of an op stand beside it, in `ops/NAME.cases.ts`; the tests
 * and the doctor run them on a device and compare with the plain loop in float64. Sizes are 1, primes, and no multiple of
 * a tile.
 */
import { Purpose, Random } from "../random.ts";
import type { HostArray } from "./backend.ts";
import type { Kernel, Variant } from "./kernel.ts";
import { size } from "./tensor.ts";

export interface KernelCase {
  readonly kernel: Kernel;
  /** Its sizes. */
  readonly title: string;
  /** What inputs hold; of results the length. */
  readonly buffers: Readonly<Record<string, HostArray | number>>;
  readonly uniforms: Readonly<Record<string, number>>;
  /** Largest difference allowed, as a part of the largest expected number; 0: the same bits. */
  readonly tolerance: number;
  readonly nan?: NanRules;
  /** Whether NaN may be at more places than expected. */
  readonly spreads?: boolean;
}

/** What to know about an op's kernels when an input holds NaN. */
export interface NanRules {
  /** Inputs that never hold NaN, and in which nobody looks for it. */
  readonly never?: readonly string[];
  /** Whether a device may have NaN where the plain loop has a number. */
  readonly spreads?: boolean;
}

/**
 * Few roundings of 2⁻²⁴ = 6e-8 each: element by element, or sums of a window. exp, log, pow and tanh are worse in the
 * drivers (WGSL allows exp at 1 an error of 5 units in the last place, and pow inherits exp2 and log2).
 */
export const ELEMENT = 2e-6;
/** Mesa computes tanh near 0 as a difference of two numbers near 1, each rounded. */
export const TANH = 1e-5;
/** Sums of up to some thousand products, whose roundings add up like a random walk, and in another order. */
export const SUM = 4e-6;

/** For one thread an element. The first is more than 65,535 workgroups of 64: the line is folded into two. */
export const LINE_SIZES = [65_535 * 64 + 65, 1, 2, 63, 64, 65, 1009] as const;

/** Adds cases, and draws inputs that are the same on every run. */
export interface Builder {
  /** Adds a case. f32 uniforms are rounded first, since it is the kernel that is tested. */
  add<B extends string, U extends string>(
    kernel: Kernel<B, U>,
    tolerance: number,
    uniforms: Readonly<Record<U, number>>,
    buffers: Readonly<Record<B, HostArray | number>>,
  ): void;
  /** Numbers in ±scale, which is 1 unless given. */
  random(length: number, scale?: number): Float32Array;
  /** Numbers in 1 … 2, as the s of a normalisation. */
  positive(length: number): Float32Array;
  /** Whole numbers below `end`. */
  integers(length: number, end: number): Uint32Array;
  /** For all else. */
  newStream(): Random;
}

/** The cases that `build` adds. */
export function cases(build: (builder: Builder) => void, nan: NanRules = {}): readonly KernelCase[] {
  const list: KernelCase[] = [];
  let seed = 0;
  const newStream = () => new Random(++seed, Purpose.drawing);
  const random = (length: number, scale = 1) => randomArray([length], ++seed).map((v) => v * scale);
  build({
    add(kernel, tolerance, uniforms, buffers) {
      const own: Record<string, number> = {};
      for (const name in kernel.uniforms) {
        own[name] = kernel.uniforms[name] === "f32" ? Math.fround(uniforms[name]) : uniforms[name];
      }
      const sizes = Object.entries(own).map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`);
      const title = sizes.join(", ");
      list.push({ kernel: kernel as unknown as Kernel, title, buffers, uniforms: own, tolerance, nan });
    },
    random,
    positive: (length) => random(length).map((v) => 1.5 + v / 2),
    integers(length, end) {
      const numbers = newStream();
      return Uint32Array.from({ length }, () => numbers.integer(end));
    },
    newStream,
  });
  return list;
}

/** `size(shape)` numbers uniform in ±1, that float32 and float64 both hold exactly; the same for the same seed. */
export function randomArray(shape: readonly number[], seed: number): Float32Array {
  const random = new Random(seed, Purpose.drawing);
  return Float32Array.from({ length: size(shape) }, () => 2 * random.uniform() - 1);
}

/** The variants of a case's kernel that can compute its sizes. */
export function variantsOf({ kernel, uniforms }: KernelCase): readonly Variant[] {
  return (kernel.variants ?? []).filter(({ fits }) => fits?.(uniforms) ?? true);
}
