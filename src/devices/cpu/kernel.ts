/** What a kernel of the CPU backend consists of: a plan, which depends only on the uniforms, and code for one item. */
import type { WasmKernels } from "../../wasm/wasm.ts";
import type { Gemm } from "./gemm.ts";

/** The uniforms in a worker, in the order of the kernel's declaration. */
export type Uniforms = Readonly<Record<string, number>>;
/** Byte addresses of the kernel's buffers, in the order of its declaration. */
export type Addresses = Readonly<Record<string, number>>;

/** What a worker provides to an item. */
export interface Machine {
  readonly wasm: WasmKernels;
  readonly gemm: Gemm;
  readonly memory: WebAssembly.Memory;
  /** Each buffer's number of elements. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Address of `Plan.shared` bytes, common to all workers. */
  readonly shared: number;
  /** Address of `Plan.scratch` bytes for this worker alone, with no contents kept between items. */
  readonly scratch: number;
}

/**
 * A stage of the work, in items. Which worker does an item, and when, must not change the result: items write disjoint
 * memory. An item should take at least 10 µs or so, and there should be a few per thread, so that busy cores can take
 * fewer.
 */
export interface Stage {
  readonly items: number;
  item(index: number, at: Addresses, machine: Machine): void;
}

/** Stages run one after another; all items of one are done before the next begins. */
export interface Plan {
  readonly stages: readonly Stage[];
  /** Bytes of workspace common to all workers, kept from stage to stage. */
  readonly shared?: number;
  /** Bytes of each worker's own workspace. */
  readonly scratch?: number;
}

export interface CpuKernel {
  /** Name of the `Kernel` that it computes. */
  readonly name: string;
  /**
   * How to divide the work among `threads`. Called on the main thread and in every worker, which must get the same
   * plan.
   */
  plan(uniforms: Uniforms, threads: number): Plan;
}

/** A stage over `total` elements, in items of `size`: the usual way to parallelise a loop. */
export function stageOf(
  total: number,
  size: number,
  run: (first: number, count: number, at: Addresses, machine: Machine) => void,
): Stage {
  return {
    items: Math.ceil(total / size),
    item: (index, at, machine) => run(index * size, Math.min(size, total - index * size), at, machine),
  };
}

/** Maximum size of a gradient's partial sums, in bytes. */
export const SUMS_BYTES = 256 << 20;

/** Adds to the array of `length` floats at `to`, in order, the `count` arrays that are contiguous at `from`. */
export function addParts(
  length: number,
  count: number,
  addresses: (at: Addresses, machine: Machine) => { to: number; from: number },
): Stage {
  return stageOf(length, 16_384, (first, floats, at, machine) => {
    const { to, from } = addresses(at, machine);
    for (let part = 0; part < count; part++) {
      machine.wasm.addFloats(to + first * 4, from + (part * length + first) * 4, floats);
    }
  });
}
