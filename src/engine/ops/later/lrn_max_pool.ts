/**
 * Local response normalisation and max-pooling of its result, as the paper's networks have them one after the other
 * (§3.3, §3.4): y = maxPool(lrn(x)).
 *
 * On GPUs, what is between the two need not be stored: each result takes the windows of five maps through the
 * normalisation, and each gradient of a pixel gathers its share from the windows that cover it. That saves writing and
 * reading x twice over, and computes more powers, since windows overlap; so both ways are timed, where the device does
 * that. The results are the same.
 *
 * x: C × H × W × N, y: C × OH × OW × N.
 */
import { tapeFor } from "../../inputs.ts";
import { kernel, line, u32s, type Workgroups } from "../../kernel.ts";
import { asStored } from "../../later/half.ts";
import { poolOf } from "../../pool.ts";
import type { Tensor } from "../../tensor.ts";
import { lrn, lrnBackward, lrnForward, lrnUniforms, type LrnOptions } from "../lrn.ts";
import { maxPool, maxPoolBackward, maxPoolForward, poolUniforms, type PoolOptions } from "../pool.ts";
import { activationBefore } from "./epilogue.ts";
import { runFastest } from "./fastest.ts";
import backwardWgsl from "../../../../kernels/wgsl/lrn_max_pool_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/lrn_max_pool_forward.wgsl" with { type: "text" };

/** @throws as `lrn` and `maxPool` */
export function lrnMaxPool(x: Tensor, options: LrnOptions, pooling: PoolOptions): Tensor {
  const tape = tapeFor("lrnMaxPool", { x });
  const { backend } = x;
  if (!backend.needsSplitting || options.n !== 5 || pooling.window !== 3) return maxPool(lrn(x, options), pooling);
  const ofLrn = lrnUniforms("lrnMaxPool", x, options);
  const ofPool = poolUniforms("lrnMaxPool", x, pooling);
  const { maps: _, plane, ...rest } = ofLrn;
  const sizes = { ...ofPool, ...rest };
  const pool = poolOf(backend);
  const shape = [ofPool.c, ofPool.oh, ofPool.ow, ofPool.images];
  const [y, argmax] = [tape.like(x, shape), tape.allocate(shape, "u32")];
  /** Runs the two kernels, with memory for what is between them. */
  const apart = (run: (between: ReturnType<typeof pool.take>) => void) => () => {
    const between = pool.take(x.stored, ofLrn.maps * plane);
    run(between);
    // Safe while the kernels are still queued: whatever uses it next is queued after them.
    pool.give(between);
  };
  const results = { y: y.buffer, argmax: argmax.buffer };
  runFastest(backend, asStored(lrnMaxPoolForward, { x: x.buffer }), ofPool, {
    apart: apart((z) => {
      backend.run(lrnForward, { x: x.buffer, y: z }, ofLrn);
      backend.run(maxPoolForward, { x: z, ...results }, { ...ofPool, activation: 0 });
    }),
    together: () => backend.run(lrnMaxPoolForward, { x: x.buffer, ...results }, sizes),
  });
  tape.record({
    inputs: [x],
    output: y,
    saved: [argmax],
    reads: [x],
    backward(dy) {
      const activation = activationBefore(x);
      const given = { dy: dy.buffer, argmax: argmax.buffer };
      const write = (dx: Tensor) =>
        runFastest(backend, asStored(lrnMaxPoolBackward, { x: x.buffer }), ofPool, {
          apart: apart((dz) => {
            backend.run(maxPoolBackward, { ...given, dx: dz }, ofPool);
            backend.run(lrnBackward, { x: x.buffer, dy: dz, dx: dx.buffer }, { ...ofLrn, activation });
          }),
          together: () =>
            backend.run(lrnMaxPoolBackward, { x: x.buffer, ...given, dx: dx.buffer }, { ...sizes, activation }),
        });
      tape.accumulate(x, write, activation !== 0);
    },
  });
  return y;
}

const uniforms = {
  ...u32s("images", "c", "h", "w", "oh", "ow", "window", "stride", "pad", "groupMaps", "reach"),
  ...({ k: "f32", alpha: "f32", beta: "f32" } as const),
};

type Sizes = Readonly<Record<keyof typeof uniforms, number>>;

/** A thread for each position of a plane and run of at most `maps` maps of a group. */
function grid({ c, groupMaps }: Sizes, plane: number, maps: number): Workgroups {
  const [x, y] = line(plane);
  return [x, y, (c / groupMaps) * Math.ceil(groupMaps / maps)];
}

/** The maps of a thread, as in the WGSL, and in a variant for small planes. */
const MAPS = 64;
const FEW_MAPS = 16;

/** The sizes that lrn's kernels are told. */
const lrnSizes = ({ c, h, w, images, groupMaps, reach, k, alpha, beta }: Sizes) => {
  return { maps: c, plane: h * w * images, groupMaps, reach, k, alpha, beta };
};

/** For windows of 3 × 3 and five maps. */
export const lrnMaxPoolForward = kernel({
  name: "lrn_max_pool_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  // argmax: the largest pixel, row · W + column
  buffers: { x: "read", y: "write", argmax: "write u32" },
  uniforms,
  workgroups: (u) => grid(u, u.oh * u.ow * u.images, MAPS),
  variants: [
    {
      ...{ name: "lrn_max_pool_forward_16", wgsl: forwardWgsl, constants: { MAPS: FEW_MAPS } },
      workgroups: (u) => grid(u, u.oh * u.ow * u.images, FEW_MAPS),
    },
  ],
  reference({ x, y, argmax }, u) {
    const z = new Float64Array(x.length);
    lrnForward.reference({ x, y: z }, lrnSizes(u));
    maxPoolForward.reference({ x: z, y, argmax }, { ...u, activation: 0 });
  },
});

/** For windows of 3 × 3 and five maps. */
export const lrnMaxPoolBackward = kernel({
  name: "lrn_max_pool_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { x: "read", dy: "read", argmax: "read u32", dx: "write" },
  // activation: that of x, whose gradient dx passes through; 0 for none.
  uniforms: { ...uniforms, activation: "u32" },
  workgroups: (u) => grid(u, u.h * u.w * u.images, MAPS),
  variants: [
    {
      ...{ name: "lrn_max_pool_backward_16", wgsl: backwardWgsl, constants: { MAPS: FEW_MAPS } },
      workgroups: (u) => grid(u, u.h * u.w * u.images, FEW_MAPS),
    },
  ],
  reference({ x, dy, argmax, dx }, u) {
    const dz = new Float64Array(x.length);
    maxPoolBackward.reference({ dy, argmax, dx: dz }, u);
    lrnBackward.reference({ x, dy: dz, dx }, { ...lrnSizes(u), activation: u.activation });
  },
});
