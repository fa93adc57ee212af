/**
 * Convolution with stride, zero padding and groups, paper §3.5:
 *
 *   y[o, p, q, n] = b[o] + Σ_{c, i, j} w[o, c, i, j] · x[g·C/G + c, p·stride + i − pad, q·stride + j − pad, n]
 *
 * where g = ⌊o / (O/G)⌋ is the group of filter o, and x is zero outside the image. Its gradients:
 *
 *   dx[g·C/G + c, y, x, n] = Σ_{o in g, i, j} w[o, c, i, j] · dy[o, p, q, n],  p·stride + i − pad = y, likewise for x
 *   dw[o, c, i, j]         = Σ_{p, q, n} dy[o, p, q, n] · x[g·C/G + c, p·stride + i − pad, q·stride + j − pad, n]
 *   db[o]                  = Σ_{p, q, n} dy[o, p, q, n]
 *
 * `pad` is the padding above and on the left; below and on the right there may be more. Depthwise convolutions, and on
 * GPUs those that suit Winograd's filtering, have kernels of their own.
 *
 * All of them can do in the same pass what would follow: y = f(s[o] · Σ + b[o]), as later/epilogue.ts says.
 *
 * x: C × H × W × N, w: O × C/G × KH × KW, b: O, or none, y: O × OH × OW × N.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireWhole, type OptionKinds } from "../../options.ts";
import type { Backend } from "../backend.ts";
import { constant } from "../constant.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, u32s, type Constants, type Workgroups } from "../kernel.ts";
import { asStored } from "../later/half.ts";
import { format, type Tensor } from "../tensor.ts";
import { depthwise, suitsDepthwise, type Passes } from "./later/depthwise.ts";
import { activated, beforeActivation, EPILOGUE, epilogueOf, type EpilogueOptions } from "./later/epilogue.ts";
import { runFastest } from "./later/fastest.ts";
import { backwards, runWinograd, runWinogradBackwardW, suitsWinograd } from "./later/winograd.ts";
import { accumulateRowSums } from "./row_sum.ts";
import { eachWindowTap, imageShape, padBefore, positions, requirePadding, type Padding } from "./shapes.ts";
import { chooseSplits, runSplit, termsPerSplit } from "./split.ts";
import forwardWgsl from "../../../kernels/wgsl/conv2d_forward.wgsl" with { type: "text" };
import backwardXWgsl from "../../../kernels/wgsl/conv2d_backward_x.wgsl" with { type: "text" };
import backwardWWgsl from "../../../kernels/wgsl/conv2d_backward_w.wgsl" with { type: "text" };
import forwardVec4Wgsl from "../../../kernels/wgsl/conv2d_forward_vec4.wgsl" with { type: "text" };
import backwardXVec4Wgsl from "../../../kernels/wgsl/conv2d_backward_x_vec4.wgsl" with { type: "text" };
import backwardWVec4Wgsl from "../../../kernels/wgsl/conv2d_backward_w_vec4.wgsl" with { type: "text" };

export interface Conv2dOptions extends EpilogueOptions {
  readonly stride?: number;
  /** 0 if not given; "same" is TensorFlow's. */
  readonly pad?: Padding;
  /** 2 where, in the paper, each GPU saw only its own half of the maps. */
  readonly groups?: number;
}

const OPTIONS: OptionKinds<Conv2dOptions> = { stride: "number?", pad: "any?", groups: "number?", ...EPILOGUE };

/**
 * @throws ShapeError when the shapes don't fit, or the window is larger than the padded image; UsageError for an
 * unknown option, and for a scale on a tape that records
 */
export function conv2d(x: Tensor, w: Tensor, b: Tensor | undefined, options: Conv2dOptions = {}): Tensor {
  checkOptions("conv2d", options, OPTIONS);
  const { stride = 1, pad = 0, groups = 1, scale } = options;
  const tape = tapeFor("conv2d", { x, w, ...(b && { b }), ...(scale && { scale }) });
  requireWhole("conv2d", { stride, groups });
  requirePadding("conv2d", pad);
  const [c, h, width, images] = imageShape("conv2d", x);
  if (c % groups !== 0) throw new ShapeError(`conv2d: ${c} maps don't divide into ${groups} groups`);
  const [o = 0, groupMaps = 0, kh = 0, kw = 0] = w.shape;
  if (w.shape.length !== 4 || groupMaps * groups !== c || o % groups !== 0 || (b && b.size !== o)) {
    throw new ShapeError(
      `conv2d: input ${format(x.shape)}, weights ${format(w.shape)}, bias ${b ? format(b.shape) : "none"}, ${groups} groups: ` +
        `need weights O × ${c / groups} × KH × KW with O a multiple of the groups, and O biases`,
    );
  }
  const epilogue = epilogueOf("conv2d", options, o, tape);
  const oh = positions(h, kh, stride, pad, "down");
  const ow = positions(width, kw, stride, pad, "down");
  if (oh < 1 || ow < 1) {
    throw new ShapeError(
      `conv2d: a window of ${kh} × ${kw} does not fit an image of ${h} × ${width} with padding ${pad}`,
    );
  }
  const before = padBefore("conv2d", [h, width], [kh, kw], stride, pad);
  const y = tape.like(x, [o, oh, ow, images]);
  const sizes = { images, c, h, w: width, o, oh, ow, kh, kw, stride, pad: before, groups };
  const passes = (suitsDepthwise(sizes) ? depthwise : general)(x.backend, sizes);
  const bias = b ?? constant(x.backend, 0, [o]);
  const given = { x: x.buffer, w: w.buffer, s: (scale ?? bias).buffer, b: bias.buffer, y: y.buffer };
  passes.forward(given, epilogue);
  y.activation = epilogue.activation;
  tape.record({
    inputs: [x, w, ...(b ? [b] : [])],
    output: y,
    saved: [],
    reads: epilogue.activation ? [x, w, y] : [x, w],
    backward(ofY) {
      const dy = beforeActivation(y, ofY, epilogue.activation);
      tape.accumulate(w, (dw) => passes.backwardW({ x: x.buffer, dy: dy.buffer, dw: dw.buffer }));
      if (b) accumulateRowSums(tape, b, dy);
      tape.accumulate(x, (dx) => passes.backwardX({ w: w.buffer, dy: dy.buffer, dx: dx.buffer }));
    },
  });
  return y;
}

/** By matrix products, of Winograd's filtering where that suits and isn't slower. */
function general(backend: Backend, sizes: Sizes): Passes {
  const { images, c, o, oh, ow, kh, kw, groups } = sizes;
  const suits = suitsWinograd(backend, sizes);
  return {
    forward(given, epilogue) {
      const direct = () => backend.run(conv2dForward, given, { ...sizes, ...epilogue });
      const winograd = () => runWinograd(backend, conv2dBackwardX, { ...sizes, turned: false }, given, epilogue);
      runFastest(backend, asStored(conv2dForward, given), sizes, suits ? { winograd, direct } : { direct });
    },
    backwardW({ dw, ...given }) {
      const direct = () => {
        const splits = chooseSplits(backend, o / groups, (c / groups) * kh * kw, groups, oh * ow * images);
        runSplit(backend, splits, dw, (into) =>
          backend.run(conv2dBackwardW, { ...given, dw: into }, { ...sizes, splits }),
        );
      };
      const winograd = () => runWinogradBackwardW(backend, conv2dBackwardW, sizes, { ...given, dw });
      runFastest(backend, asStored(conv2dBackwardW, given), sizes, suits ? { winograd, direct } : { direct });
    },
    backwardX({ w, dy, dx }) {
      const direct = () => backend.run(conv2dBackwardX, { w, dy, dx }, sizes);
      const winograd = () => runWinograd(backend, conv2dBackwardX, backwards(sizes), { x: dy, w, y: dx });
      runFastest(backend, asStored(conv2dBackwardX, { dy }), sizes, suits ? { winograd, direct } : { direct });
    },
  };
}

const uniforms = u32s("images", "c", "h", "w", "o", "oh", "ow", "kh", "kw", "stride", "pad", "groups");

/** Height and width of the tile of results that a workgroup computes, as in the WGSL. */
type Tile = readonly [rows: number, columns: number];
const TILE: Tile = [64, 64];

/**
 * A workgroup for each tile of each group's rows × columns. A row of columns that is too long continues at z + groups.
 */
function tiles(tile: Tile, rows: number, columns: number, groups: number): Workgroups {
  const [x, folds] = line(columns, tile[1]);
  return [x, Math.ceil(rows / tile[0]), groups * folds];
}

type Sizes = Readonly<Record<keyof typeof uniforms, number>>;

const forwardTiles = ({ images, o, oh, ow, groups }: Sizes, tile: Tile) =>
  tiles(tile, o / groups, oh * ow * images, groups);
const backwardXTiles = ({ images, c, h, w, groups }: Sizes, tile: Tile) =>
  tiles(tile, c / groups, h * w * images, groups);
const backwardWTiles = ({ c, o, kh, kw, groups, splits }: Sizes & { readonly splits: number }, tile: Tile) =>
  tiles(tile, o / groups, (c / groups) * kh * kw, groups * splits);

/** A variant for large GPUs, with tiles of ROWS × 128 results. It loads four images at once. */
function variant<S extends Sizes>(
  name: string,
  wgsl: string,
  tilesOf: (u: S, tile: Tile) => Workgroups,
  constants: Constants & { readonly ROWS: number },
) {
  const workgroups = (u: S) => tilesOf(u, [constants.ROWS, 128]);
  return { name, wgsl, constants, fits: ({ images }: S) => images % 4 === 0, workgroups };
}

export const conv2dForward = kernel({
  name: "conv2d_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  // scaled: 0 ignores s.
  buffers: { x: "read", w: "read", s: "read", b: "read", y: "write" },
  uniforms: { ...uniforms, ...u32s("scaled", "activation") },
  workgroups: (u) => forwardTiles(u, TILE),
  variants: [
    variant("conv2d_forward_128x128", forwardVec4Wgsl, forwardTiles, { ROWS: 128, THREADS: 256 }),
    variant("conv2d_forward_96x128", forwardVec4Wgsl, forwardTiles, { ROWS: 96, THREADS: 192 }),
    variant("conv2d_forward_48x128", forwardVec4Wgsl, forwardTiles, { ROWS: 48, THREADS: 128 }),
  ],
  reference({ x, w, s, b, y }, u) {
    for (let at = 0, o = 0; o < u.o; o++) {
      for (let p = 0; p < u.oh; p++) {
        for (let q = 0; q < u.ow; q++) {
          for (let n = 0; n < u.images; n++, at++) {
            let sum = 0;
            eachTap(u, o, p, q, (weight, pixel) => (sum += w[weight]! * x[pixel * u.images + n]!));
            y[at] = activated((u.scaled ? s[o]! : 1) * sum + b[o]!, u.activation);
          }
        }
      }
    }
  },
});

export const conv2dBackwardX = kernel({
  name: "conv2d_backward_x",
  module: import.meta.url,
  wgsl: backwardXWgsl,
  buffers: { w: "read", dy: "read", dx: "write" },
  uniforms,
  workgroups: (u) => backwardXTiles(u, TILE),
  variants: [
    variant("conv2d_backward_x_128x128", backwardXVec4Wgsl, backwardXTiles, { ROWS: 128, THREADS: 256 }),
    variant("conv2d_backward_x_96x128", backwardXVec4Wgsl, backwardXTiles, { ROWS: 96, THREADS: 192 }),
    variant("conv2d_backward_x_48x128", backwardXVec4Wgsl, backwardXTiles, { ROWS: 48, THREADS: 128 }),
  ],
  reference({ w, dy, dx }, u) {
    for (let i = 0; i < u.c * u.h * u.w * u.images; i++) dx[i] = 0;
    for (let at = 0, o = 0; o < u.o; o++) {
      for (let p = 0; p < u.oh; p++) {
        for (let q = 0; q < u.ow; q++) {
          for (let n = 0; n < u.images; n++, at++) {
            const gradient = dy[at]!;
            eachTap(u, o, p, q, (weight, pixel) => (dx[pixel * u.images + n]! += w[weight]! * gradient));
          }
        }
      }
    }
  },
});

export const conv2dBackwardW = kernel({
  name: "conv2d_backward_w",
  module: import.meta.url,
  wgsl: backwardWWgsl,
  buffers: { x: "read", dy: "read", dw: "write" },
  // splits: number of arrays in dw, whose sum is the result; see split.ts.
  uniforms: { ...uniforms, splits: "u32" },
  workgroups: (u) => backwardWTiles(u, TILE),
  variants: [
    variant("conv2d_backward_w_128x128", backwardWVec4Wgsl, backwardWTiles, { ROWS: 128 }),
    variant("conv2d_backward_w_96x128", backwardWVec4Wgsl, backwardWTiles, { ROWS: 96 }),
  ],
  reference({ x, dy, dw }, u) {
    const weights = u.o * (u.c / u.groups) * u.kh * u.kw;
    const terms = termsPerSplit(u.oh * u.ow * u.images, u.splits);
    for (let i = 0; i < u.splits * weights; i++) dw[i] = 0;
    for (let at = 0, o = 0; o < u.o; o++) {
      for (let term = 0, p = 0; p < u.oh; p++) {
        for (let q = 0; q < u.ow; q++) {
          for (let n = 0; n < u.images; n++, at++, term++) {
            const gradient = dy[at]!;
            const first = Math.floor(term / terms) * weights;
            eachTap(u, o, p, q, (weight, pixel) => (dw[first + weight]! += x[pixel * u.images + n]! * gradient));
          }
        }
      }
    }
  },
});

/** Visits each product in y[o, p, q]: its index in w, and its pixel in x (in units of N). */
function eachTap(u: Sizes, o: number, p: number, q: number, visit: (weight: number, pixel: number) => void): void {
  const maps = u.c / u.groups;
  eachWindowTap(u, o, { first: Math.floor(o / (u.o / u.groups)) * maps, count: maps }, p, q, visit);
}
