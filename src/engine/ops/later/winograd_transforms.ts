/**
 * The transforms of Winograd's minimal filtering (winograd.ts), before and after its products: of patches of x, of
 * windows and of the products of these for the outputs; of gradients of outputs, and of their products for the windows.
 */
import { kernel, line, u32s } from "../../kernel.ts";
import { activated } from "./epilogue.ts";
import input3 from "../../../../kernels/wgsl/winograd_3x3_input.wgsl" with { type: "text" };
import output3 from "../../../../kernels/wgsl/winograd_3x3_output.wgsl" with { type: "text" };
import weights3 from "../../../../kernels/wgsl/winograd_3x3_weights.wgsl" with { type: "text" };
import gradients3 from "../../../../kernels/wgsl/winograd_3x3_gradients.wgsl" with { type: "text" };
import windows3 from "../../../../kernels/wgsl/winograd_3x3_windows.wgsl" with { type: "text" };
import input5 from "../../../../kernels/wgsl/winograd_5x5_input.wgsl" with { type: "text" };
import output5 from "../../../../kernels/wgsl/winograd_5x5_output.wgsl" with { type: "text" };
import weights5 from "../../../../kernels/wgsl/winograd_5x5_weights.wgsl" with { type: "text" };
import gradients5 from "../../../../kernels/wgsl/winograd_5x5_gradients.wgsl" with { type: "text" };
import windows5 from "../../../../kernels/wgsl/winograd_5x5_windows.wgsl" with { type: "text" };

/** Side of a tile of outputs. */
export const TILE = 4;

type Matrix = readonly (readonly number[])[];

/** Element (i, j) of m a mᵀ, the square matrix `a` given as a function. */
function transformed(m: Matrix, i: number, j: number, a: (row: number, column: number) => number): number {
  let sum = 0;
  m[i]!.forEach((left, row) =>
    m[j]!.forEach((right, column) => {
      // Skips 0 · NaN.
      if (left * right !== 0) sum += left * right * a(row, column);
    }),
  );
  return sum;
}

const transpose = (m: Matrix): Matrix => m[0]!.map((_, column) => m.map((row) => row[column]!));

/**
 * The kernels of a window's transforms.
 * @param ofInput Bᵀ; `ofWeights` is G, `ofOutput` Aᵀ
 */
function scheme(
  window: number,
  wgsl: Readonly<Record<"input" | "weights" | "output" | "gradients" | "windows", string>>,
  ofInput: Matrix,
  ofWeights: Matrix,
  ofOutput: Matrix,
) {
  const side = TILE + window - 1;
  const positions = side ** 2;
  const name = `winograd_${window}x${window}`;
  const input = kernel({
    name: `${name}_input`,
    module: import.meta.url,
    wgsl: wgsl.input,
    buffers: { x: "read", patches: "write" },
    // th, tw: number of tiles down and across.
    uniforms: u32s("images", "c", "h", "w", "pad", "th", "tw"),
    workgroups: ({ images, c, th, tw }) => line(c * th * tw * images),
    reference({ x, patches }, { images, c, h, w, pad, th, tw }) {
      for (let at = 0, position = 0; position < positions; position++) {
        const [i, j] = [Math.floor(position / side), position % side];
        for (let map = 0; map < c; map++) {
          for (let tile = 0; tile < th * tw; tile++) {
            const [top, left] = [Math.floor(tile / tw) * TILE - pad, (tile % tw) * TILE - pad];
            for (let n = 0; n < images; n++, at++) {
              patches[at] = transformed(ofInput, i, j, (row, column) => {
                const [p, q] = [top + row, left + column];
                return p < 0 || p >= h || q < 0 || q >= w ? 0 : x[((map * h + p) * w + q) * images + n]!;
              });
            }
          }
        }
      }
    },
  });
  const weights = kernel({
    name: `${name}_weights`,
    module: import.meta.url,
    wgsl: wgsl.weights,
    buffers: { w: "read", filters: "write" },
    // terms, rows: input and output maps of a group. turned: 1 for the gradient of the input.
    uniforms: u32s("groups", "terms", "rows", "turned"),
    workgroups: ({ groups, terms, rows }) => line(groups * terms * rows),
    reference({ w, filters }, { groups, terms, rows, turned }) {
      const taps = window ** 2;
      for (let at = 0, position = 0; position < positions; position++) {
        const [i, j] = [Math.floor(position / side), position % side];
        for (let group = 0; group < groups; group++) {
          for (let term = 0; term < terms; term++) {
            for (let row = 0; row < rows; row++, at++) {
              const first = taps * (turned ? (group * terms + term) * rows + row : (group * rows + row) * terms + term);
              filters[at] = transformed(ofWeights, i, j, (p, q) => {
                const tap = p * window + q;
                return w[first + (turned ? taps - 1 - tap : tap)]!;
              });
            }
          }
        }
      }
    },
  });
  const output = kernel({
    name: `${name}_output`,
    module: import.meta.url,
    wgsl: wgsl.output,
    // biased: 0 ignores b; scaled: 0 ignores s.
    buffers: { products: "read", s: "read", b: "read", y: "write" },
    uniforms: u32s("images", "o", "oh", "ow", "th", "tw", "biased", "scaled", "activation"),
    workgroups: ({ images, o, th, tw }) => line(o * th * tw * images),
    reference({ products, s, b, y }, { images, o, oh, ow, th, tw, biased, scaled, activation }) {
      const size = o * th * tw * images;
      for (let at = 0, map = 0; map < o; map++) {
        for (let p = 0; p < oh; p++) {
          for (let q = 0; q < ow; q++) {
            const tile = (map * th + Math.floor(p / TILE)) * tw + Math.floor(q / TILE);
            for (let n = 0; n < images; n++, at++) {
              const sum = transformed(ofOutput, p % TILE, q % TILE, (i, j) => {
                return products[(i * side + j) * size + tile * images + n]!;
              });
              y[at] = activated((scaled ? s[map]! : 1) * sum + (biased ? b[map]! : 0), activation);
            }
          }
        }
      }
    },
  });
  const gradients = kernel({
    name: `${name}_gradients`,
    module: import.meta.url,
    wgsl: wgsl.gradients,
    buffers: { dy: "read", gradients: "write" },
    uniforms: u32s("images", "o", "oh", "ow", "th", "tw"),
    workgroups: ({ images, o, th, tw }) => line(o * th * tw * images),
    reference({ dy, gradients }, { images, o, oh, ow, th, tw }) {
      for (let at = 0, position = 0; position < positions; position++) {
        const [i, j] = [Math.floor(position / side), position % side];
        for (let map = 0; map < o; map++) {
          for (let tile = 0; tile < th * tw; tile++) {
            const [top, left] = [Math.floor(tile / tw) * TILE, (tile % tw) * TILE];
            for (let n = 0; n < images; n++, at++) {
              gradients[at] = transformed(transpose(ofOutput), i, j, (row, column) => {
                const [p, q] = [top + row, left + column];
                return p >= oh || q >= ow ? 0 : dy[((map * oh + p) * ow + q) * images + n]!;
              });
            }
          }
        }
      }
    },
  });
  const windows = kernel({
    name: `${name}_windows`,
    module: import.meta.url,
    wgsl: wgsl.windows,
    // size: number of windows.
    buffers: { products: "read", dw: "write" },
    uniforms: u32s("size"),
    workgroups: ({ size }) => line(size),
    reference({ products, dw }, { size }) {
      for (let at = 0; at < size; at++) {
        for (let tap = 0; tap < window ** 2; tap++) {
          dw[at * window ** 2 + tap] = transformed(
            transpose(ofWeights),
            Math.floor(tap / window),
            tap % window,
            (i, j) => products[(i * side + j) * size + at]!,
          );
        }
      }
    },
  });
  return { positions, input, weights, output, gradients, windows };
}

// The points are 0, 1, −1, 2, −2 and infinity.
const three = scheme(
  3,
  { input: input3, weights: weights3, output: output3, gradients: gradients3, windows: windows3 },
  [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ],
  [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ],
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
);

// The points are 0, 1, −1, 2, −2, ½, −½ and infinity.
const five = scheme(
  5,
  { input: input5, weights: weights5, output: output5, gradients: gradients5, windows: windows5 },
  [
    [1, 0, -21 / 4, 0, 21 / 4, 0, -1, 0],
    [0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0],
    [0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0],
    [0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0],
    [0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0],
    [0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0],
    [0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0],
    [0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1],
  ],
  [
    [1, 0, 0, 0, 0],
    [-2 / 9, -2 / 9, -2 / 9, -2 / 9, -2 / 9],
    [-2 / 9, 2 / 9, -2 / 9, 2 / 9, -2 / 9],
    [1 / 90, 1 / 45, 2 / 45, 4 / 45, 8 / 45],
    [1 / 90, -1 / 45, 2 / 45, -4 / 45, 8 / 45],
    [32 / 45, 16 / 45, 8 / 45, 4 / 45, 2 / 45],
    [32 / 45, -16 / 45, 8 / 45, -4 / 45, 2 / 45],
    [0, 0, 0, 0, 1],
  ],
  [
    [1, 1, 1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0],
    [0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0],
    [0, 1, -1, 8, -8, 1 / 8, -1 / 8, 1],
  ],
);

/** By side of the window. */
export const schemes: ReadonlyMap<number, typeof three> = new Map([
  [3, three],
  [5, five],
]);

export const {
  input: winograd3Input,
  weights: winograd3Weights,
  output: winograd3Output,
  gradients: winograd3Gradients,
  windows: winograd3Windows,
} = three;
export const {
  input: winograd5Input,
  weights: winograd5Weights,
  output: winograd5Output,
  gradients: winograd5Gradients,
  windows: winograd5Windows,
} = five;
