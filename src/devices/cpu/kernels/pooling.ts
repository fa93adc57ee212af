/** Pooling: an item is one row of one map of the result. */
import type { WasmKernels } from "../../../wasm/wasm.ts";
import type { Addresses, CpuKernel, Uniforms } from "../kernel.ts";

interface Row {
  readonly wasm: WasmKernels;
  readonly at: Addresses;
  readonly u: Uniforms;
  /** Bytes before the map in the input and its gradient, and in the output, its gradient and argmax. */
  readonly ofX: number;
  readonly ofY: number;
  readonly row: number;
}

/** @param rows the uniform that says how many rows a map of the result has */
function byRows(name: string, rows: "h" | "oh", compute: (row: Row) => void): CpuKernel {
  return {
    name,
    plan(u) {
      const height = u[rows]!;
      const [mapOfX, mapOfY] = [u.h! * u.w! * u.images! * 4, u.oh! * u.ow! * u.images! * 4];
      return {
        stages: [
          {
            items: u.c! * height,
            item(index, at, { wasm }) {
              const c = Math.floor(index / height);
              compute({ wasm, at, u, ofX: c * mapOfX, ofY: c * mapOfY, row: index % height });
            },
          },
        ],
      };
    },
  };
}

export const poolingKernels: readonly CpuKernel[] = [
  byRows("max_pool_forward", "oh", ({ wasm, at, u, ofX, ofY, row }) => {
    const [x, y, argmax] = [at.x! + ofX, at.y! + ofY, at.argmax! + ofY];
    wasm.maxPoolForward(x, y, argmax, row, u.h!, u.w!, u.ow!, u.images!, u.window!, u.stride!);
  }),
  byRows("max_pool_backward", "h", ({ wasm, at, u, ofX, ofY, row }) => {
    const [dy, argmax, dx] = [at.dy! + ofY, at.argmax! + ofY, at.dx! + ofX];
    wasm.maxPoolBackward(dy, argmax, dx, row, u.w!, u.oh!, u.ow!, u.images!, u.window!, u.stride!);
  }),
  byRows("average_pool_forward", "oh", ({ wasm, at, u, ofX, ofY, row }) =>
    wasm.averagePoolForward(at.x! + ofX, at.y! + ofY, row, u.h!, u.w!, u.ow!, u.images!, u.window!, u.stride!),
  ),
  byRows("average_pool_backward", "h", ({ wasm, at, u, ofX, ofY, row }) => {
    const [dy, dx] = [at.dy! + ofY, at.dx! + ofX];
    wasm.averagePoolBackward(dy, dx, row, u.h!, u.w!, u.oh!, u.ow!, u.images!, u.window!, u.stride!);
  }),
];
