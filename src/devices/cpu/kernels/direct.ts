/**
 * Kernels that WebAssembly computes entirely; this file only says how they are divided into items. The WebAssembly
 * function has the kernel's name in camel case and these parameters:
 *
 *   start, count   an item's first element, row, … and their number; only its index, if every item is just one
 *   buffers        their addresses, in the order of the kernel's declaration
 *   uniforms       in the order of the declaration
 *   scratch        the item's own workspace
 *
 * It may omit trailing ones that it doesn't need. `test/devices/cpu_kernels.test.ts` compares the names.
 */
import { stageOf, type CpuKernel, type Uniforms } from "../kernel.ts";

/** The number of a kernel's elements, rows, … */
interface Cut {
  readonly total: number;
  /** The number in an item; one by default. */
  readonly size?: number;
  readonly scratchBytes?: number;
}

function direct(name: string, cut: (uniforms: Uniforms) => Cut): CpuKernel {
  const called = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return {
    name,
    plan(uniforms) {
      const { total, size, scratchBytes = 0 } = cut(uniforms);
      // Made for the first item and modified for the others, to avoid garbage.
      let given: number[] | undefined;
      const stage = stageOf(total, size ?? 1, (start, count, at, { wasm, scratch }) => {
        given ??= [start, ...(size ? [count] : []), ...Object.values(at), ...Object.values(uniforms), scratch];
        given[0] = start;
        if (size) given[1] = count;
        wasm[called]!.apply(undefined, given);
      });
      return { scratch: scratchBytes, stages: [stage] };
    },
  };
}

/** Elements in an item: 64 KB of each buffer. */
const ELEMENTS = 16_384;
/** Positions in an item of a normalisation, in all maps: 1 KB of each. */
const POSITIONS = 256;

const elements = ({ size }: Uniforms): Cut => ({ total: size!, size: ELEMENTS });
const rowsOfX = ({ c, h }: Uniforms): Cut => ({ total: c! * h! });
const rowsOfY = ({ c, oh }: Uniforms): Cut => ({ total: c! * oh! });
/** How many rows of this length an item takes. */
const rowsIn = (length: number): number => Math.ceil(ELEMENTS / length);

export const directKernels: readonly CpuKernel[] = [
  direct("copy", ({ bytes }) => ({ total: bytes!, size: 4 * ELEMENTS })),
  direct("accumulate", elements),
  direct("add_forward", elements),
  direct("add_backward", elements),
  direct("relu_forward", elements),
  direct("relu_backward", elements),
  direct("tanh_forward", elements),
  direct("tanh_backward", elements),
  direct("sgd", elements),
  direct("dropout", elements),
  direct("row_sum", ({ rows, columns }) => ({ total: rows!, size: rowsIn(columns!) })),
  direct("augment", ({ crop }) => ({ total: crop! })),
  direct("lrn_forward", ({ plane }) => ({ total: plane!, size: POSITIONS })),
  direct("lrn_backward", ({ plane, maps }) => ({
    total: plane!,
    size: POSITIONS,
    scratchBytes: maps! * POSITIONS * 4,
  })),
  direct("map_norm_forward", ({ images, c, w }) => ({ total: c!, scratchBytes: w! * images! * 4 })),
  direct("map_norm_backward", ({ images, c, h, w }) => ({ total: c!, scratchBytes: (h! + 2) * w! * images! * 4 })),
  direct("depthwise_forward", ({ images, c, oh, ow }) => ({ total: c! * oh!, size: rowsIn(ow! * images!) })),
  direct("depthwise_backward_x", ({ images, c, h, w }) => ({ total: c! * h!, size: rowsIn(w! * images!) })),
  direct("depthwise_backward_w", ({ c, kh }) => ({ total: c! * kh! })),
  direct("max_pool_forward", rowsOfY),
  direct("max_pool_backward", rowsOfX),
  direct("average_pool_forward", rowsOfY),
  direct("average_pool_backward", rowsOfX),
];
