/**
 * Test cases of kernels: sizes and inputs. An op's are beside it, in `ops/NAME.cases.ts`; the tests and the doctor run
 * them on a device and compare with the reference loop in float64. Sizes are 1, primes, and others that no tile
 * divides.
 */
import { Purpose, Random } from "../random.ts";
import type { HostArray } from "./backend.ts";
import type { Kernel, Variant } from "./kernel.ts";
import { size } from "./tensor.ts";

export interface KernelCase {
  readonly kernel: Kernel;
  /** Its sizes. */
  readonly title: string;
  /** An input's contents, or an output's length. */
  readonly buffers: Readonly<Record<string, HostArray | number>>;
  readonly uniforms: Readonly<Record<string, number>>;
  /** Largest error allowed, relative to the largest expected number; 0: the same bits. */
  readonly tolerance: number;
  readonly nan?: NanRules;
  /** Whether NaN may be in more places than expected. */
  readonly spreads?: boolean;
}

/** How an op's kernels treat NaN in their inputs. */
interface NanRules {
  /** Inputs that never hold NaN and aren't tried with it. */
  readonly never?: readonly string[];
  /** Whether a device may have NaN where the reference has a number. */
  readonly spreads?: boolean;
}

/**
 * For elementwise kernels and sums over a window: a few roundings of 2⁻²⁴ = 6e-8 each. exp, log, pow and tanh are less
 * accurate in drivers (WGSL allows exp(1) an error of 5 units in the last place, and pow inherits the errors of exp2
 * and log2).
 */
export const ELEMENT = 2e-6;
/** For tanh, which Mesa computes near 0 as a difference of two rounded numbers near 1. */
export const TANH = 1e-5;
/** For sums of up to a few thousand products, in any order: their rounding errors add up like a random walk. */
export const SUM = 4e-6;

/** Sizes for kernels with one thread per element, and for variants with 256 threads that compute four each. */
export const LINE_SIZES = [1, 2, 63, 64, 65, 1009, 1028] as const;
/** Needs more than 65,535 workgroups of 64, which fold into two rows. A test folds those of smaller sizes too. */
export const FOLDED_SIZE = 65_535 * 64 + 65;

/** Adds cases, and draws reproducible inputs. */
interface Builder {
  /** Adds a case. f32 uniforms are rounded first, so that only the kernel's own error counts. */
  add<B extends string, U extends string>(
    kernel: Kernel<B, U>,
    tolerance: number,
    uniforms: Readonly<Record<U, number>>,
    buffers: Readonly<Record<B, HostArray | number>>,
  ): void;
  /** Numbers in ±scale; ±1 by default. */
  random(length: number, scale?: number): Float32Array;
  /** Numbers in 1 … 2, like the s of a normalisation. */
  positive(length: number): Float32Array;
  /** Whole numbers below `end`. */
  integers(length: number, end: number): Uint32Array;
  /** For anything else. */
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

/** `size(shape)` numbers, uniform in ±1, determined by the seed, and exact in float32. */
export function randomArray(shape: readonly number[], seed: number): Float32Array {
  const random = new Random(seed, Purpose.drawing);
  return Float32Array.from({ length: size(shape) }, () => 2 * random.uniform() - 1);
}

/** The variants of a case's kernel that support its sizes. */
export function variantsOf({ kernel, uniforms }: KernelCase): readonly Variant[] {
  return (kernel.variants ?? []).filter(({ fits }) => fits?.(uniforms) ?? true);
}

/** Larger cases show nothing more. */
const MAX_ELEMENTS = 40_000;

/** For each kernel and each of its variants the largest case, of a moderate size. */
export function largestCases(cases: readonly KernelCase[]): readonly KernelCase[] {
  const largest = new Map<string, KernelCase>();
  for (const each of cases) {
    const size = numbersOf(each);
    for (const { name } of [each.kernel, ...variantsOf(each)]) {
      const before = largest.get(name);
      if (size <= MAX_ELEMENTS && size > (before ? numbersOf(before) : 0)) largest.set(name, each);
    }
  }
  return [...new Set(largest.values())];
}

function numbersOf({ buffers }: KernelCase): number {
  return Object.values(buffers).reduce<number>(
    (sum, given) => sum + (typeof given === "number" ? given : given.length),
    0,
  );
}
