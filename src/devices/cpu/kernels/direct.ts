/**
 * Kernels that WebAssembly computes all by itself: here stands only how they are cut into items. The function has the
 * kernel's name, in camel case, and gets
 *
 *   start, count   the first of an item's elements, rows, …, and how many; or the item's number, if one is all it takes
 *   buffers        where each begins, in the order of the kernel's declaration
 *   uniforms       in the order of the declaration
 *   scratch        the item's own workspace
 *
 * and leaves out those at the end that it does without. `test/devices/cpu_kernels.test.ts` compares the names.
 */
import { pieces, type CpuKernel, type Uniforms } from "../kernel.ts";

/** Of how many elements, rows, … a kernel consists. */
interface Cut {
  readonly total: number;
  /** How many an item takes; one, if not given. */
  readonly size?: number;
  readonly scratchBytes?: number;
}

function direct(name: string, cut: (uniforms: Uniforms) => Cut): CpuKernel {
  const called = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return {
    name,
    plan(uniforms) {
      const { total, size, scratchBytes = 0 } = cut(uniforms);
      // Made for the first item and changed for the others, so that there is no garbage.
      let given: number[] | undefined;
      const stage = pieces(total, size ?? 1, (start, count, at, { wasm, scratch }) => {
        given ??= [start, ...(size ? [count] : []), ...Object.values(at), ...Object.values(uniforms), scratch];
        given[0] = start;
        if (size) given[1] = count;
        wasm[called]!.apply(undefined, given);
      });
      return { scratch: scratchBytes, stages: [stage] };
    },
  };
}

/** Elements that an item takes: 64 KB of each buffer. */
const ELEMENTS = 16_384;
/** Positions of the plane that an item of a normalisation takes, through all maps: 1 KB of each. */
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
