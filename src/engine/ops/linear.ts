/**
 * A fully connected layer on a batch:
 *
 *   y[o, n]  = b[o] + Σ_i w[o, i] · x[i, n]
 *   dx[i, n] = Σ_o w[o, i] · dy[o, n]
 *   dw[o, i] = Σ_n dy[o, n] · x[i, n]
 *   db[o]    = Σ_n dy[o, n]
 *
 * w: O × I, b: O, or none, y: O × N; x: I × N, or C × H × W × N with C·H·W = I, whose memory layout is the same. Weights too
 * large for one binding (fc6 has 151 MB) are processed in runs of whole rows.
 */
import { ShapeError } from "../../errors.ts";
import { view, type Buffer, type BufferView } from "../backend.ts";
import { constant } from "../constant.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, u32s, type Workgroups } from "../kernel.ts";
import { pieces } from "../tape.ts";
import { format, type Tensor } from "../tensor.ts";
import { accumulateRowSums } from "./row_sum.ts";
import { chooseSplits, runSplit, termsPerSplit } from "./split.ts";
import forwardWgsl from "../../../kernels/wgsl/linear_forward.wgsl" with { type: "text" };
import forwardNarrowWgsl from "../../../kernels/wgsl/linear_forward_narrow.wgsl" with { type: "text" };
import backwardXWgsl from "../../../kernels/wgsl/linear_backward_x.wgsl" with { type: "text" };
import backwardXNarrowWgsl from "../../../kernels/wgsl/linear_backward_x_narrow.wgsl" with { type: "text" };
import backwardWWgsl from "../../../kernels/wgsl/linear_backward_w.wgsl" with { type: "text" };
import forwardVec4Wgsl from "../../../kernels/wgsl/linear_forward_vec4.wgsl" with { type: "text" };
import backwardXVec4Wgsl from "../../../kernels/wgsl/linear_backward_x_vec4.wgsl" with { type: "text" };
import backwardWVec4Wgsl from "../../../kernels/wgsl/linear_backward_w_vec4.wgsl" with { type: "text" };

/** @throws ShapeError when the shapes don't fit. */
export function linear(x: Tensor, w: Tensor, b?: Tensor): Tensor {
  const tape = tapeFor("linear", { x, w, ...(b && { b }) });
  const images = x.shape.at(-1) ?? 0;
  const inputs = x.size / images;
  const outputs = w.shape[0] ?? 0;
  if (w.shape.length !== 2 || w.shape[1] !== inputs || (b && b.size !== outputs)) {
    throw new ShapeError(
      `linear: input ${format(x.shape)}, weights ${format(w.shape)}, bias ${b ? format(b.shape) : "none"}: ` +
        `need weights O × ${inputs} and O biases`,
    );
  }
  const y = tape.like(x, [outputs, images]);
  const { backend } = x;
  const bias = b ?? constant(backend, 0, [outputs]);
  const narrow = images <= NARROW;
  /**
   * Runs of rows of w, with the same rows of b, y and dy. A multiple of 128 rows, so that each starts at a multiple of 256
   * bytes, in half precision too.
   */
  const parts = pieces(w, inputs * 128).map(([offset, length]) => {
    const [row, rows] = [offset / inputs, length / inputs];
    return {
      ofW: (tensor: Tensor) => view(tensor.buffer, offset, length),
      ofB: view(bias.buffer, row, rows),
      ofY: (tensor: Tensor) => view(tensor.buffer, row * images, rows * images),
      uniforms: { outputs: rows, inputs, images },
      first: row === 0,
    };
  });
  for (const { ofW, ofB, ofY, uniforms } of parts) {
    const given = { w: ofW(w), x: x.buffer, b: ofB };
    if (narrow) {
      backend.run(linearForwardNarrow, { ...given, y: ofY(y) }, uniforms);
      continue;
    }
    const splits = chooseSplits(backend, uniforms.outputs, images, 1, inputs);
    runSplit(backend, splits, ofY(y), (into) =>
      backend.run(linearForward, { ...given, y: into }, { ...uniforms, splits }),
    );
  }
  tape.record({
    inputs: [x, w, ...(b ? [b] : [])],
    output: y,
    saved: [],
    backward(dy) {
      tape.accumulate(w, (dw) => {
        for (const { ofW, ofY, uniforms } of parts) {
          backend.run(linearBackwardW, { x: x.buffer, dy: ofY(dy), dw: ofW(dw) }, uniforms);
        }
      });
      if (b) accumulateRowSums(tape, b, dy);
      tape.accumulate(x, (dx) => {
        for (const { ofW, ofY, uniforms, first } of parts) {
          const given = { w: ofW(w), dy: ofY(dy) };
          const accumulate = first ? 0 : 1;
          if (narrow) {
            backend.run(linearBackwardXNarrow, { ...given, dx: dx.buffer }, { ...uniforms, accumulate });
            continue;
          }
          const splits = chooseSplits(backend, inputs, images, 1, uniforms.outputs);
          const run = (into: Buffer | BufferView, accumulate: 0 | 1) =>
            backend.run(linearBackwardX, { ...given, dx: into }, { ...uniforms, accumulate, splits });
          runSplit(backend, splits, dx.buffer, run, accumulate);
        }
      });
    },
  });
  return y;
}

/**
 * The matrix product a · b, for two dimensions PyTorch's matmul: y[i, j] = Σ_k a[i, k] · b[k, j]. It is a fully connected
 * layer with weights a and no bias, gradients included, and runs on its kernels.
 * @param a I × K
 * @param b K × J
 * @throws ShapeError when the shapes don't fit
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  tapeFor("matmul", { a, b });
  const [, terms] = a.shape;
  if (a.shape.length !== 2 || b.shape.length !== 2 || terms !== b.shape[0]) {
    throw new ShapeError(`matmul: ${format(a.shape)} and ${format(b.shape)}: must be I × K and K × J`);
  }
  return linear(b, a);
}

const uniforms = u32s("outputs", "inputs", "images");

/** Side of the square tile of results that a workgroup computes, and that of the variants, as in the WGSL. */
const TILE = 64;
const LARGE_TILE = 128;
/** Up to this many images, most of a tile would be empty, and kernels that just read w once are faster. */
const NARROW = 16;

type Sizes = Readonly<Record<keyof typeof uniforms, number>>;
type SplitSizes = Sizes & { readonly splits: number };

/** `splits` workgroups for each tile of rows × columns. */
function tiles(side: number, rows: number, columns: number, splits = 1): Workgroups {
  return [Math.ceil(columns / side), Math.ceil(rows / side), splits];
}

const forwardTiles = ({ outputs, images, splits }: SplitSizes, side: number) => tiles(side, outputs, images, splits);
const backwardXTiles = ({ inputs, images, splits }: SplitSizes, side: number) => tiles(side, inputs, images, splits);
const backwardWTiles = ({ outputs, inputs }: Sizes, side: number) => tiles(side, outputs, inputs);

export const linearForward = kernel({
  name: "linear_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { w: "read", x: "read", b: "read", y: "write" },
  // splits: number of arrays in y, whose sum is the result; see split.ts.
  uniforms: { ...uniforms, splits: "u32" },
  workgroups: (u) => forwardTiles(u, TILE),
  variants: [
    {
      name: "linear_forward_128x128",
      wgsl: forwardVec4Wgsl,
      fits: ({ images }) => images % 4 === 0,
      workgroups: (u) => forwardTiles(u, LARGE_TILE),
    },
  ],
  reference({ w, x, b, y }, { outputs, inputs, images, splits }) {
    const terms = termsPerSplit(inputs, splits);
    for (let at = 0, s = 0; s < splits; s++) {
      for (let o = 0; o < outputs; o++) {
        for (let n = 0; n < images; n++, at++) {
          let sum = s === 0 ? b[o]! : 0;
          for (let i = s * terms; i < Math.min((s + 1) * terms, inputs); i++) {
            sum += w[o * inputs + i]! * x[i * images + n]!;
          }
          y[at] = sum;
        }
      }
    }
  },
});

export const linearForwardNarrow = kernel({
  name: "linear_forward_narrow",
  module: import.meta.url,
  wgsl: forwardNarrowWgsl,
  buffers: linearForward.buffers,
  uniforms,
  workgroups: ({ outputs, images }) => [Math.ceil(images / 4), Math.ceil(outputs / 4), 1],
  reference: (buffers, uniforms) => linearForward.reference(buffers, { ...uniforms, splits: 1 }),
});

export const linearBackwardX = kernel({
  name: "linear_backward_x",
  module: import.meta.url,
  wgsl: backwardXWgsl,
  // accumulate: 1 adds to dx, which holds the sum over earlier rows of w; 0 overwrites it.
  // splits: number of arrays in dx, whose sum is the result; see split.ts.
  buffers: { w: "read", dy: "read", dx: "update" },
  uniforms: { ...uniforms, accumulate: "u32", splits: "u32" },
  workgroups: (u) => backwardXTiles(u, TILE),
  variants: [
    {
      name: "linear_backward_x_128x128",
      wgsl: backwardXVec4Wgsl,
      fits: ({ inputs, images }) => inputs % 4 === 0 && images % 4 === 0,
      workgroups: (u) => backwardXTiles(u, LARGE_TILE),
    },
  ],
  reference({ w, dy, dx }, { outputs, inputs, images, accumulate, splits }) {
    const terms = termsPerSplit(outputs, splits);
    for (let at = 0, s = 0; s < splits; s++) {
      for (let i = 0; i < inputs; i++) {
        for (let n = 0; n < images; n++, at++) {
          let sum = accumulate ? dx[at]! : 0;
          for (let o = s * terms; o < Math.min((s + 1) * terms, outputs); o++) {
            sum += w[o * inputs + i]! * dy[o * images + n]!;
          }
          dx[at] = sum;
        }
      }
    }
  },
});

export const linearBackwardXNarrow = kernel({
  name: "linear_backward_x_narrow",
  module: import.meta.url,
  wgsl: backwardXNarrowWgsl,
  buffers: linearBackwardX.buffers,
  uniforms: { ...uniforms, accumulate: "u32" },
  workgroups: ({ inputs, images }) => [Math.ceil(images / 4), Math.ceil(inputs / 64), 1],
  reference: (buffers, uniforms) => linearBackwardX.reference(buffers, { ...uniforms, splits: 1 }),
});

export const linearBackwardW = kernel({
  name: "linear_backward_w",
  module: import.meta.url,
  wgsl: backwardWWgsl,
  buffers: { x: "read", dy: "read", dw: "write" },
  uniforms,
  workgroups: (u) => backwardWTiles(u, TILE),
  variants: [
    {
      name: "linear_backward_w_128x128",
      wgsl: backwardWVec4Wgsl,
      fits: ({ inputs, images }) => inputs % 4 === 0 && images % 4 === 0,
      workgroups: (u) => backwardWTiles(u, LARGE_TILE),
    },
  ],
  reference({ x, dy, dw }, { outputs, inputs, images }) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) {
        let sum = 0;
        for (let n = 0; n < images; n++) sum += dy[o * images + n]! * x[i * images + n]!;
        dw[o * inputs + i] = sum;
      }
    }
  },
});
