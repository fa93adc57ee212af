// The functions that the CPU backend calls. Kernels work on pointers into the shared memory: addresses are in bytes,
// counts in elements. Loops run over 16-byte vectors and handle the remainder one by one, since a batch may have any
// size.

export { augment } from "./augment";
export { depthwiseBackwardW, depthwiseBackwardX, depthwiseForward } from "./depthwise";
export { dropout } from "./dropout";
export { gemm } from "./gemm";
export { col2im, im2col } from "./im2col";
export { lrnBackward, lrnForward } from "./lrn";
export { mapNormBackward, mapNormForward } from "./map_norm";
export { accumulate, addBackward, addFloats, addForward, clearFloats, copy, fillFloats } from "./move";
export { averagePoolBackward, averagePoolForward, maxPoolBackward, maxPoolForward } from "./pool";
export { reluBackward, reluForward, tanhBackward, tanhForward } from "./activation";
export { addRecord } from "./record_sums";
export { resizeColumns, resizeRows } from "./resize";
export { rowSum } from "./row_sum";
export { sgd } from "./sgd";
export { winogradGradient, winogradInput, winogradOutput, winogradWeightGradient, winogradWeights } from "./winograd";
