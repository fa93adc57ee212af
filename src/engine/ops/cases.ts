/**
 * Every kernel's test cases. The files are listed here because a bundled program can't search a folder; a test checks
 * that none is missing.
 */
import type { Backend } from "../backend.ts";
import type { KernelCase } from "../cases.ts";
import { nanCases } from "../nan_cases.ts";
import { tapeCases } from "../tape.cases.ts";
import { activationCases } from "./activation.cases.ts";
import { augmentCases } from "./augment.cases.ts";
import { conv2dCases } from "./conv2d.cases.ts";
import { dropoutCases } from "./dropout.cases.ts";
import { adamwCases } from "./later/adamw.cases.ts";
import { addCases } from "./later/add.cases.ts";
import { batchNormCases } from "./later/batch_norm.cases.ts";
import { concatCases } from "./later/concat.cases.ts";
import { depthwiseCases } from "./later/depthwise.cases.ts";
import { epilogueCases } from "./later/epilogue.cases.ts";
import { lrnMaxPoolCases } from "./later/lrn_max_pool.cases.ts";
import { muonCases } from "./later/muon.cases.ts";
import { multiplyCases } from "./later/multiply.cases.ts";
import { softmaxCases } from "./later/softmax.cases.ts";
import { weightedCrossEntropyCases } from "./later/weighted_cross_entropy.cases.ts";
import { winogradCases } from "./later/winograd.cases.ts";
import { linearCases } from "./linear.cases.ts";
import { local2dCases } from "./local2d.cases.ts";
import { lrnCases } from "./lrn.cases.ts";
import { mapNormCases } from "./map_norm.cases.ts";
import { poolCases } from "./pool.cases.ts";
import { rowSumCases } from "./row_sum.cases.ts";
import { sgdCases } from "./sgd.cases.ts";
import { softmaxCrossEntropyCases } from "./softmax_cross_entropy.cases.ts";
import { splitCases } from "./split.cases.ts";

const all = [
  tapeCases,
  activationCases,
  addCases,
  adamwCases,
  augmentCases,
  batchNormCases,
  concatCases,
  conv2dCases,
  depthwiseCases,
  dropoutCases,
  epilogueCases,
  linearCases,
  local2dCases,
  lrnCases,
  lrnMaxPoolCases,
  mapNormCases,
  multiplyCases,
  muonCases,
  poolCases,
  rowSumCases,
  sgdCases,
  softmaxCases,
  softmaxCrossEntropyCases,
  splitCases,
  weightedCrossEntropyCases,
  winogradCases,
].flat();

export const kernelCases: readonly KernelCase[] = [...all, ...nanCases(all)];

/** Whether kernels run as WGSL there, and may have variants. */
export function isGpu(kind: Backend["kind"]): boolean {
  return kind === "wgpu" || kind === "webgpu";
}

/** The cases for a backend: all, except that the cpu never splits sums (`needsSplitting`). */
export function casesOf(kind: Backend["kind"]): readonly KernelCase[] {
  return isGpu(kind) ? kernelCases : kernelCases.filter(({ uniforms }) => (uniforms.splits ?? 1) === 1);
}
