/** All layers; `kinds` makes each kind from JSON. */
import { blockKinds } from "./later/blocks.ts";
import { convolutionKinds } from "./convolution.ts";
import { elementwiseKinds } from "./elementwise.ts";
import type { Kinds } from "./kinds.ts";
import { batchNormKinds } from "./later/batch_norm.ts";
import { normalizationKinds } from "./normalization.ts";
import { poolingKinds } from "./pooling.ts";

export { concat, residual } from "./later/blocks.ts";
export { conv, fc, local, type ConvOptions, type LocalOptions, type Start } from "./convolution.ts";
export { dropout, gelu, geluTanh, hardSwish, relu, relu6, sigmoid, silu, tanh } from "./elementwise.ts";
export { batchNorm, type BatchNormOptions } from "./later/batch_norm.ts";
export { divide, lrn, mapNorm } from "./normalization.ts";
export { averagePool, globalAveragePool, maxPool, type PoolSettings } from "./pooling.ts";

export type { Block, Layer, Rows, SimpleLayer } from "../layer.ts";

export const kinds: Kinds = {
  ...convolutionKinds,
  ...poolingKinds,
  ...normalizationKinds,
  ...batchNormKinds,
  ...elementwiseKinds,
  ...blockKinds,
};
