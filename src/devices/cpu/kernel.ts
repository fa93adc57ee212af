/** What a kernel of the CPU backend is made of: a plan, computed from the uniforms alone, and code for one item. */
import type { WasmKernels } from "../../wasm/wasm.ts";
import type { Gemm } from "./gemm.ts";

/** In a worker, in the order of the kernel's declaration. */
export type Uniforms = Readonly<Record<string, number>>;
/** Where the kernel's buffers begin, in bytes; in the order of its declaration. */
export type Addresses = Readonly<Record<string, number>>;

/** What an item finds in its worker. */
export interface Machine {
  readonly wasm: WasmKernels;
  readonly gemm: Gemm;
  readonly memory: WebAssembly.Memory;
  /** How many elements each buffer has. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Address of `Plan.shared` bytes that all workers see. */
  readonly shared: number;
  /** Address of `Plan.scratch` bytes that only this worker sees; their contents don't outlast the item. */
  readonly scratch: number;
}

/**
 * A part of the work. Which worker does an item, and when, must not change the result: items write disjoint memory.
 * An item is at least some 10 µs of work, and there are a few for each thread, so that a busy core can take fewer.
 */
export interface Stage {
  readonly items: number;
  item(index: number, at: Addresses, machine: Machine): void;
}

/** Stages run one after the other; all items of one are done before the next begins. */
export interface Plan {
  readonly stages: readonly Stage[];
  /** Bytes of workspace that all workers see and that lasts from stage to stage. */
  readonly shared?: number;
  /** Bytes of workspace for each worker. */
  readonly scratch?: number;
}

export interface CpuKernel {
  /** The name of the `Kernel` that this computes. */
  readonly name: string;
  /** How to do it with so many threads. Called on the main thread and in every worker, which must come to the same. */
  plan(uniforms: Uniforms, threads: number): Plan;
}

/** Items of `size` elements cut from `total`: the usual way to spread a loop. */
export function pieces(
  total: number,
  size: number,
  run: (first: number, count: number, at: Addresses, machine: Machine) => void,
): Stage {
  return {
    items: Math.ceil(total / size),
    item: (index, at, machine) => run(index * size, Math.min(size, total - index * size), at, machine),
  };
}

/** Bytes that the partial sums of a gradient may take. */
export const SUMS_BYTES = 256 << 20;

/** Adds arrays of `length` floats, `count` of them behind each other from address `from` on, to that at `to`, in order. */
export function addParts(
  length: number,
  count: number,
  addresses: (at: Addresses, machine: Machine) => { to: number; from: number },
): Stage {
  return pieces(length, 16_384, (first, floats, at, machine) => {
    const { to, from } = addresses(at, machine);
    for (let part = 0; part < count; part++) {
      machine.wasm.addFloats(to + first * 4, from + (part * length + first) * 4, floats);
    }
  });
}
