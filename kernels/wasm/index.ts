// The functions that the CPU backend calls. Kernels work on pointers into the shared memory: addresses are in bytes,
// counts in elements. Loops run over 16-byte vectors and handle the remainder one by one, since a batch may have any
// size.

export { adamw } from "./adamw";
export { augment } from "./augment";
export { batchNormBackward, batchNormForward, batchNormGradients, batchNormStatistics } from "./batch_norm";
export { depthwiseBackwardW, depthwiseBackwardX, depthwiseForward } from "./depthwise";
export { dropout } from "./dropout";
export { finishFloats, epilogueBackward } from "./epilogue";
export {
  geluBackward,
  geluForward,
  geluTanhBackward,
  geluTanhForward,
  hardSwishBackward,
  hardSwishForward,
  relu6Backward,
  relu6Forward,
  sigmoidBackward,
  sigmoidForward,
  siluBackward,
  siluForward,
} from "./gate";
export { gemm } from "./gemm";
export { col2im, im2col } from "./im2col";
export { lrnBackward, lrnForward } from "./lrn";
export { mapNormBackward, mapNormForward } from "./map_norm";
export {
  accumulate,
  addFloats,
  addForward,
  axpby,
  clearFloats,
  copy,
  copyRun,
  fillFloats,
  subtractForward,
} from "./move";
export { multiply, planeDot, scale } from "./multiply";
export {
  averagePoolBackward,
  averagePoolForward,
  globalAveragePoolForward,
  maxPoolBackward,
  maxPoolForward,
} from "./pool";
export { reluBackward, reluForward, tanhBackward, tanhForward } from "./activation";
export { addRecord } from "./record_sums";
export { resizeColumns, resizeRows } from "./resize";
export { rowSum } from "./row_sum";
export { sgd } from "./sgd";
export { softmaxBackward, softmaxForward } from "./softmax";
export { winogradGradient, winogradInput, winogradOutput, winogradWeightGradient, winogradWeights } from "./winograd";
