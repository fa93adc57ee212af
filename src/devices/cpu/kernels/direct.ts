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
/** Positions in an item of a normalisation, in all maps: a page of each. */
const POSITIONS = 1024;

const elements = ({ size }: Uniforms): Cut => ({ total: size!, size: ELEMENTS });
/** `total` rows of `each` elements, as many to an item as fill it. */
const rows = (total: number, each: number): Cut => ({ total, size: Math.ceil(ELEMENTS / each) });
const maps = ({ maps, plane, images }: Uniforms): Cut => rows(maps!, plane! * images!);
const rowsOfX = ({ c, h }: Uniforms): Cut => ({ total: c! * h! });
const rowsOfY = ({ c, oh }: Uniforms): Cut => ({ total: c! * oh! });

const eachMap = ({ maps }: Uniforms): Cut => ({ total: maps! });

export const directKernels: readonly CpuKernel[] = [
  direct("copy", ({ bytes }) => ({ total: bytes!, size: 4 * ELEMENTS })),
  direct("accumulate", elements),
  direct("add_forward", elements),
  direct("subtract_forward", elements),
  direct("multiply", elements),
  direct("plane_dot", maps),
  direct("scale", elements),
  direct("copy_run", elements),
  direct("epilogue_backward", elements),
  direct("axpby", elements),
  direct("relu_forward", elements),
  direct("relu_backward", elements),
  direct("tanh_forward", elements),
  direct("tanh_backward", elements),
  ...["relu6", "sigmoid", "silu", "gelu", "gelu_tanh", "hard_swish"].flatMap((name) => [
    direct(`${name}_forward`, elements),
    direct(`${name}_backward`, elements),
  ]),
  direct("sgd", elements),
  direct("adamw", elements),
  direct("dropout", elements),
  direct("row_sum", ({ rows: total, columns }) => rows(total!, columns!)),
  direct("augment", ({ crop }) => ({ total: crop! })),
  direct("lrn_forward", ({ plane }) => ({ total: plane!, size: POSITIONS })),
  direct("lrn_backward", ({ plane, maps }) => ({
    total: plane!,
    size: POSITIONS,
    scratchBytes: (maps! + 1) * POSITIONS * 4,
  })),
  direct("map_norm_forward", ({ images, c, w }) => ({ total: c!, scratchBytes: w! * images! * 4 })),
  direct("map_norm_backward", ({ images, c, h, w }) => ({ total: c!, scratchBytes: (h! + 2) * w! * images! * 4 })),
  direct("batch_norm_statistics", eachMap),
  direct("batch_norm_forward", eachMap),
  direct("batch_norm_gradients", eachMap),
  direct("batch_norm_backward", eachMap),
  direct("depthwise_forward", ({ images, c, oh, ow }) => rows(c! * oh!, ow! * images!)),
  direct("depthwise_backward_x", ({ images, c, h, w }) => rows(c! * h!, w! * images!)),
  direct("depthwise_backward_w", ({ c, kh, kw }) => ({ total: c!, scratchBytes: kh! * kw! * 8 })),
  direct("max_pool_forward", rowsOfY),
  direct("max_pool_backward", rowsOfX),
  direct("average_pool_forward", rowsOfY),
  direct("average_pool_backward", rowsOfX),
  direct("global_average_pool_forward", maps),
  direct("softmax_forward", ({ classes, columns }) => rows(columns!, classes!)),
  direct("softmax_backward", ({ classes, columns }) => rows(classes!, columns!)),
];
