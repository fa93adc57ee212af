/** Fully connected layers: matrix products, divided into blocks of the result. */
import type { Addresses, CpuKernel, Machine, Stage } from "../kernel.ts";

/** Sides of a block: from SIDE on, a product is efficient; smaller ones only so that every thread has work. */
const SIDE = 128;
const SMALLEST = 32;

/** Divides a result of rows × columns into blocks, a few per thread, halving the longer side first. */
function cut(rows: number, columns: number, threads: number): { rows: number; columns: number; items: number } {
  let [high, wide] = [rows, columns];
  const items = () => Math.ceil(rows / high) * Math.ceil(columns / wide);
  const half = (side: number) => Math.ceil(side / 8) * 4;
  while (Math.max(high, wide) >= 2 * (items() < threads ? SMALLEST : SIDE) && items() < 4 * threads) {
    if (high >= wide) high = half(high);
    else wide = half(wide);
  }
  return { rows: high, columns: wide, items: items() };
}

/** A stage that computes rows × columns of a result, block by block. */
function blocks(
  rows: number,
  columns: number,
  threads: number,
  run: (row: number, rows: number, column: number, columns: number, at: Addresses, machine: Machine) => void,
): Stage {
  const block = cut(rows, columns, threads);
  const across = Math.ceil(columns / block.columns);
  return {
    items: block.items,
    item(index, at, machine) {
      const row = Math.floor(index / across) * block.rows;
      const column = (index % across) * block.columns;
      const high = Math.min(block.rows, rows - row);
      run(row, high, column, Math.min(block.columns, columns - column), at, machine);
    },
  };
}

/** y = w · x + b */
const forward: CpuKernel = {
  name: "linear_forward",
  plan: (u, threads) => {
    const [outputs, inputs, images] = [u.outputs!, u.inputs!, u.images!];
    return {
      stages: [
        blocks(outputs, images, threads, (row, rows, column, columns, at, { gemm, wasm, memory }) => {
          const y = at.y! + (row * images + column) * 4;
          const bias = new Float32Array(memory.buffer, at.b! + row * 4, rows);
          for (let i = 0; i < rows; i++) wasm.fillFloats(y + i * images * 4, bias[i]!, columns);
          const [w, x] = [at.w! + row * inputs * 4, at.x! + column * 4];
          gemm(false, false, rows, columns, inputs, w, inputs, x, images, true, y, images);
        }),
      ],
    };
  },
};

/** dx = wᵀ · dy */
const backwardX: CpuKernel = {
  name: "linear_backward_x",
  plan: (u, threads) => {
    const [outputs, inputs, images, add] = [u.outputs!, u.inputs!, u.images!, u.accumulate !== 0];
    return {
      stages: [
        blocks(inputs, images, threads, (row, rows, column, columns, at, { gemm }) => {
          const [w, dy, dx] = [at.w! + row * 4, at.dy! + column * 4, at.dx! + (row * images + column) * 4];
          gemm(true, false, rows, columns, outputs, w, inputs, dy, images, add, dx, images);
        }),
      ],
    };
  },
};

/** dw = dy · xᵀ */
const backwardW: CpuKernel = {
  name: "linear_backward_w",
  plan: (u, threads) => {
    const [outputs, inputs, images] = [u.outputs!, u.inputs!, u.images!];
    return {
      stages: [
        blocks(outputs, inputs, threads, (row, rows, column, columns, at, { gemm }) => {
          const [dy, x] = [at.dy! + row * images * 4, at.x! + column * images * 4];
          const dw = at.dw! + (row * inputs + column) * 4;
          gemm(false, true, rows, columns, images, dy, images, x, images, false, dw, inputs);
        }),
      ],
    };
  },
};

export const linearKernels: readonly CpuKernel[] = [
  forward,
  { ...forward, name: "linear_forward_narrow" },
  backwardX,
  { ...backwardX, name: "linear_backward_x_narrow" },
  backwardW,
];
