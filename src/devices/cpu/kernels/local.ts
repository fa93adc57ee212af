/**
 * Locally connected layers: each output position has its own filters, so each is a separate product of O × K weights
 * with the K × N pixels under its window (K = C · KH · KW). In w, the row of position p and map o starts at
 * (o · P + p) · K.
 */
import type { CpuKernel, Machine, Uniforms } from "../kernel.ts";

const sizes = ({ c, kh, kw, oh, ow }: Uniforms) => ({ k: c! * kh! * kw!, positions: oh! * ow! });

/** The pixels under the window of one position: K × N. */
function pixels({ wasm, scratch }: Machine, x: number, u: Uniforms, position: number): void {
  const { images, c, h, w, ow, kh, kw, stride, pad } = u;
  const [k, first] = [c! * kh! * kw!, position * images!];
  wasm.im2col(x, h!, w!, images!, ow!, kh!, kw!, stride!, pad!, 0, k, first, images!, scratch, images!);
}

/** y at one position, all maps. */
const forward: CpuKernel = {
  name: "local2d_forward",
  plan(u) {
    const { k, positions } = sizes(u);
    const [o, images] = [u.o!, u.images!];
    return {
      scratch: k * images * 4,
      stages: [
        {
          items: positions,
          item(p, at, machine) {
            const { wasm, gemm, memory, scratch } = machine;
            pixels(machine, at.x!, u, p);
            const bias = new Float32Array(memory.buffer, at.b!, o * positions);
            const y = at.y! + p * images * 4;
            for (let i = 0; i < o; i++)
              wasm.fillFloats(y + i * positions * images * 4, bias[i * positions + p]!, images);
            const w = at.w! + p * k * 4;
            gemm(false, false, o, images, k, w, positions * k, scratch, images, true, y, positions * images);
          },
        },
      ],
    };
  },
};

/** dw of one position: dy · pixelsᵀ. */
const backwardW: CpuKernel = {
  name: "local2d_backward_w",
  plan(u) {
    const { k, positions } = sizes(u);
    const [o, images] = [u.o!, u.images!];
    return {
      scratch: k * images * 4,
      stages: [
        {
          items: positions,
          item(p, at, machine) {
            const { gemm, scratch } = machine;
            pixels(machine, at.x!, u, p);
            const [dy, dw] = [at.dy! + p * images * 4, at.dw! + p * k * 4];
            gemm(false, true, o, k, images, dy, positions * images, scratch, images, false, dw, positions * k);
          },
        },
      ],
    };
  },
};

/** dx of one map: wᵀ · dy of each position, added under its window. */
const backwardX: CpuKernel = {
  name: "local2d_backward_x",
  plan(u) {
    const { k, positions } = sizes(u);
    const [o, images, h, w] = [u.o!, u.images!, u.h!, u.w!];
    const [ow, kh, kw, stride, pad] = [u.ow!, u.kh!, u.kw!, u.stride!, u.pad!];
    return {
      scratch: kh * kw * images * 4,
      stages: [
        {
          items: u.c!,
          item(c, at, { wasm, gemm, scratch }) {
            const map = at.dx! + c * h * w * images * 4;
            wasm.clearFloats(map, h * w * images);
            for (let p = 0; p < positions; p++) {
              const weights = at.w! + (p * k + c * kh * kw) * 4;
              const dy = at.dy! + p * images * 4;
              gemm(
                true,
                false,
                kh * kw,
                images,
                o,
                weights,
                positions * k,
                dy,
                positions * images,
                false,
                scratch,
                images,
              );
              const top = Math.floor(p / ow) * stride - pad;
              const left = (p % ow) * stride - pad;
              for (let i = Math.max(0, -top); i < Math.min(kh, h - top); i++) {
                for (let j = Math.max(0, -left); j < Math.min(kw, w - left); j++) {
                  const to = map + ((top + i) * w + left + j) * images * 4;
                  wasm.addFloats(to, scratch + (i * kw + j) * images * 4, images);
                }
              }
            }
          },
        },
      ],
    };
  },
};

export const localKernels: readonly CpuKernel[] = [forward, backwardX, backwardW];
