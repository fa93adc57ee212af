/** Pooling: an item is one row of one map of the result. */
import type { CpuKernel, Uniforms } from "../kernel.ts";

/** Bytes of one map of the input and of the output. */
function maps({ images, h, w, oh, ow }: Uniforms): { ofX: number; ofY: number } {
  return { ofX: h! * w! * images! * 4, ofY: oh! * ow! * images! * 4 };
}

const maxForward: CpuKernel = {
  name: "max_pool_forward",
  plan(u) {
    const { ofX, ofY } = maps(u);
    return {
      stages: [
        {
          items: u.c! * u.oh!,
          item(index, at, { wasm }) {
            const c = Math.floor(index / u.oh!);
            const [x, y, argmax] = [at.x! + c * ofX, at.y! + c * ofY, at.argmax! + c * ofY];
            wasm.maxPoolForward(x, y, argmax, index % u.oh!, u.h!, u.w!, u.ow!, u.images!, u.window!, u.stride!);
          },
        },
      ],
    };
  },
};

const maxBackward: CpuKernel = {
  name: "max_pool_backward",
  plan(u) {
    const { ofX, ofY } = maps(u);
    return {
      stages: [
        {
          items: u.c! * u.h!,
          item(index, at, { wasm }) {
            const c = Math.floor(index / u.h!);
            const [dy, argmax, dx] = [at.dy! + c * ofY, at.argmax! + c * ofY, at.dx! + c * ofX];
            wasm.maxPoolBackward(dy, argmax, dx, index % u.h!, u.w!, u.oh!, u.ow!, u.images!, u.window!, u.stride!);
          },
        },
      ],
    };
  },
};

const averageForward: CpuKernel = {
  name: "average_pool_forward",
  plan(u) {
    const { ofX, ofY } = maps(u);
    return {
      stages: [
        {
          items: u.c! * u.oh!,
          item(index, at, { wasm }) {
            const c = Math.floor(index / u.oh!);
            const [x, y] = [at.x! + c * ofX, at.y! + c * ofY];
            wasm.averagePoolForward(x, y, index % u.oh!, u.h!, u.w!, u.ow!, u.images!, u.window!, u.stride!);
          },
        },
      ],
    };
  },
};

const averageBackward: CpuKernel = {
  name: "average_pool_backward",
  plan(u) {
    const { ofX, ofY } = maps(u);
    return {
      stages: [
        {
          items: u.c! * u.h!,
          item(index, at, { wasm }) {
            const c = Math.floor(index / u.h!);
            const [dy, dx] = [at.dy! + c * ofY, at.dx! + c * ofX];
            wasm.averagePoolBackward(dy, dx, index % u.h!, u.h!, u.w!, u.oh!, u.ow!, u.images!, u.window!, u.stride!);
          },
        },
      ],
    };
  },
};

export const poolingKernels: readonly CpuKernel[] = [maxForward, maxBackward, averageForward, averageBackward];
