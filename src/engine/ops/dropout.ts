/**
 * Inverted dropout, paper §4.2: in training each element is kept with probability `keep` and divided by it,
 *
 *   y = x · m / keep,  dx = dy · m / keep,  m ∈ {0, 1}
 *
 * so that nothing changes at test time. NaN stays NaN even where m is 0, as in PyTorch. The mask is a function of the
 * key and the element's index (Threefry-2x32), so that the backward pass recomputes it instead of storing it, and it is
 * the same on every backend. Where several devices share a step, the index is that in the whole step: element (f, n) of
 * features × `images` has index f · whole + first + n, image n being `first` + n of `whole`; for the b-th block of
 * features, `first` is b times the block's size.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireWhole, show, type OptionKinds } from "../../options.ts";
import { threefry } from "../../random.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, u32s } from "../kernel.ts";
import type { Tensor } from "../tensor.ts";
import wgsl from "../../../kernels/wgsl/dropout.wgsl" with { type: "text" };

export interface DropoutOptions {
  /** Probability of keeping an element, in (0, 1). */
  readonly keep: number;
  /** Two 32-bit words, unique to each layer and step: `streamKey(seed, Purpose.dropout, step, layer)`. */
  readonly key: readonly [number, number];
}

const OPTIONS: OptionKinds<DropoutOptions> = { keep: "number", key: "number[]" };

/** @throws ShapeError unless `keep` is a probability between 0 and 1, both excluded */
export function checkKeep(op: string, keep: number): void {
  if (typeof keep === "number" && keep > 0 && keep < 1) return;
  throw new ShapeError(`${op}: keep is ${show(keep)}, must lie between 0 and 1`);
}

/** @throws ShapeError when `keep` is not between 0 and 1; UsageError for an option that is unknown or missing */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  const tape = tapeFor("dropout", { x });
  checkOptions("dropout", options, OPTIONS);
  const { keep, key } = options;
  checkKeep("dropout", keep);
  requireWhole("dropout", { "key[0]": key[0], "key[1]": key[1] }, 0);
  const y = tape.like(x);
  const images = x.shape.at(-1) ?? 1;
  const part = tape.part ?? { block: 0 };
  const { first, whole } = "block" in part ? { first: part.block * x.size, whole: images } : part;
  const uniforms = {
    ...{ size: x.size, images, first, whole },
    key0: key[0],
    key1: key[1],
    threshold: Math.floor(keep * 2 ** 32),
    scale: 1 / keep,
  };
  x.backend.run(dropoutKernel, { x: x.buffer, y: y.buffer }, uniforms);
  tape.record({
    inputs: [x],
    output: y,
    saved: [],
    reads: [],
    backward: (dy) =>
      tape.accumulate(x, (dx) => x.backend.run(dropoutKernel, { x: dy.buffer, y: dx.buffer }, uniforms)),
  });
  return y;
}

export const dropoutKernel = kernel({
  name: "dropout",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "write" },
  uniforms: { ...u32s("size", "images", "first", "whole", "key0", "key1", "threshold"), scale: "f32" },
  workgroups: ({ size }) => line(size),
  reference({ x, y }, { size, images, first, whole, key0, key1, threshold, scale }) {
    for (let i = 0; i < size; i++) {
      const index = Math.floor(i / images) * whole + first + (i % images);
      const keeps = threefry(key0, key1, index, 0)[0] < threshold;
      y[i] = keeps || Number.isNaN(x[i]) ? x[i]! * scale : 0;
    }
  },
});
