/** Fully connected layers: matrix products cut into blocks of rows or columns of the result; and sums of rows. */
import { pieces, type CpuKernel } from "../kernel.ts";

/** The side of a block, a few for each thread, and a multiple of 16 so that only the last has a ragged edge. */
function block(total: number, threads: number): number {
  return Math.max(16, Math.ceil(total / (4 * threads) / 16) * 16);
}

/** y = w · x + b, by rows of y. */
const forward: CpuKernel = {
  name: "linear_forward",
  plan: ({ outputs, inputs, images }, threads) => ({
    stages: [
      pieces(outputs!, block(outputs!, threads), (first, count, { w, x, b, y }, { gemm, wasm, memory }) => {
        const rows = y! + first * images! * 4;
        const bias = new Float32Array(memory.buffer, b! + first * 4, count);
        for (let i = 0; i < count; i++) wasm.fillFloats(rows + i * images! * 4, bias[i]!, images!);
        const weights = w! + first * inputs! * 4;
        gemm(false, false, count, images!, inputs!, weights, inputs!, x!, images!, true, rows, images!);
      }),
    ],
  }),
};

/** dx = wᵀ · dy, by rows of dx. */
const backwardX: CpuKernel = {
  name: "linear_backward_x",
  plan: ({ outputs, inputs, images, accumulate }, threads) => ({
    stages: [
      pieces(inputs!, block(inputs!, threads), (first, count, { w, dy, dx }, { gemm }) => {
        const rows = dx! + first * images! * 4;
        const columns = w! + first * 4;
        gemm(true, false, count, images!, outputs!, columns, inputs!, dy!, images!, accumulate !== 0, rows, images!);
      }),
    ],
  }),
};

/** dw = dy · xᵀ, by rows of dw. */
const backwardW: CpuKernel = {
  name: "linear_backward_w",
  plan: ({ outputs, inputs, images }, threads) => ({
    stages: [
      pieces(outputs!, block(outputs!, threads), (first, count, { x, dy, dw }, { gemm }) => {
        const [gradients, weights] = [dy! + first * images! * 4, dw! + first * inputs! * 4];
        gemm(false, true, count, inputs!, images!, gradients, images!, x!, images!, false, weights, inputs!);
      }),
    ],
  }),
};

const rowSum: CpuKernel = {
  name: "row_sum",
  plan: ({ rows, columns }) => ({
    stages: [
      pieces(rows!, Math.ceil(16_384 / columns!), (first, count, { x, y }, { wasm }) =>
        wasm.rowSum(x! + first * columns! * 4, y! + first * 4, count, columns!),
      ),
    ],
  }),
};

export const linearKernels: readonly CpuKernel[] = [
  forward,
  { ...forward, name: "linear_forward_narrow" },
  backwardX,
  { ...backwardX, name: "linear_backward_x_narrow" },
  backwardW,
  rowSum,
];
