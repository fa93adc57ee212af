/** The library that the commands are built on. README.md has a ten-line example. */
export * from "./errors.ts";
export { Random, Purpose, streamKey } from "./random.ts";

export type { Backend, Buffer } from "./engine/backend.ts";
export { kernel, line, type Kernel } from "./engine/kernel.ts";
export { openReference } from "./engine/reference.ts";
export { openDevice, type DeviceOptions } from "./devices/open.ts";
export { allowDownloads } from "./native/permission.ts";

export { Tensor } from "./engine/tensor.ts";
export { Parameter } from "./engine/parameter.ts";
export { tapeOf } from "./engine/inputs.ts";
export { Tape } from "./engine/tape.ts";

export { relu, tanh } from "./engine/ops/activation.ts";
export { gelu, geluTanh, hardSwish, relu6, sigmoid, silu } from "./engine/ops/later/activation.ts";
export { add, subtract, type AddOptions } from "./engine/ops/later/add.ts";
export { adamw, type AdamWOptions } from "./engine/ops/later/adamw.ts";
export { augment } from "./engine/ops/augment.ts";
export { batchNorm, type BatchNormOptions, type BatchNormTensors } from "./engine/ops/later/batch_norm.ts";
export type { Activation } from "./engine/ops/later/epilogue.ts";
export { concat } from "./engine/ops/later/concat.ts";
export { conv2d, type Conv2dOptions } from "./engine/ops/conv2d.ts";
export { dropout, type DropoutOptions } from "./engine/ops/dropout.ts";
export { linear, matmul } from "./engine/ops/linear.ts";
export { local2d } from "./engine/ops/local2d.ts";
export { lrn, type LrnOptions } from "./engine/ops/lrn.ts";
export { mapNorm, type MapNormOptions } from "./engine/ops/map_norm.ts";
export { multiply, scale } from "./engine/ops/later/multiply.ts";
export { globalAveragePool } from "./engine/ops/later/global_average_pool.ts";
export { averagePool, maxPool, type PoolOptions } from "./engine/ops/pool.ts";
export { muon, type MuonOptions } from "./engine/ops/later/muon.ts";
export { reshape } from "./engine/ops/later/reshape.ts";
export { sgd, type SgdOptions } from "./engine/ops/sgd.ts";
export { softmax } from "./engine/ops/later/softmax.ts";
export { softmaxCrossEntropy, type CrossEntropy } from "./engine/ops/softmax_cross_entropy.ts";
export { mean, meanSquaredError, sum } from "./engine/ops/later/sum.ts";

export * as layers from "./net/layers/index.ts";
export {
  defineNetwork,
  networkFromJson,
  networkToJson,
  type NetworkDraft,
  type NetworkJson,
} from "./net/definition.ts";
export { openNetwork } from "./net/network_file.ts";
export { Model, place, type PlacedLayer } from "./net/model.ts";
export { findNetwork, networks } from "./net/networks.ts";
export type { Network, Recipe, Schedule } from "./net/recipe.ts";
export type { Calibration } from "./weights/calibration.ts";
export { openCheckpoint, saveCheckpoint, type Checkpoint } from "./weights/checkpoint.ts";
export type { Optimizer } from "./net/optimizer.ts";
export { AdamW } from "./net/later/adamw.ts";
export { Muon } from "./net/later/muon.ts";
export { Nesterov } from "./net/later/nesterov.ts";
export { Sgd } from "./net/sgd.ts";
export { rateAt } from "./net/schedule.ts";

export { openDataset } from "./data/open.ts";
export { shapes } from "./data/shapes.ts";
export { createLoader } from "./data/loader.ts";
export { centreView, drawViews, mixedLabels, testViews } from "./data/augmentation.ts";

export type { Context, Notice } from "./ranks/context.ts";
export { train, type TrainContext, type TrainResult } from "./verbs/train/train.ts";
export { crossValidate, type CrossValidateOptions, type CrossValidation } from "./verbs/train/folds.ts";
export type { TrainOptions } from "./runs/train_options.ts";
export type { Report, TrainEvent } from "./training/events.ts";
export { evaluate, type EvaluateOptions } from "./verbs/evaluate/evaluate.ts";
export type { Evaluation } from "./verbs/evaluate/evaluation.ts";
export { predict, type PredictEvent, type Prediction, type PredictOptions } from "./verbs/predict/predict.ts";
export { features, type Features, type FeaturesOptions } from "./verbs/features/features.ts";
export {
  similar,
  type Similar,
  type SimilarEvent,
  type SimilarOptions,
  type SimilarResult,
} from "./verbs/similar/similar.ts";
export { look, type Look, type LookOptions } from "./verbs/look/look.ts";
export { exportModel, type Exported, type ExportOptions } from "./verbs/export/export.ts";
export { importWeights, type Imported, type ImportOptions } from "./verbs/import/import.ts";
export { report, type ReportOptions } from "./verbs/report/report.ts";
export { doctor, type DoctorOptions, type Finding } from "./verbs/doctor/doctor.ts";
export { reproduce, type Reproduced, type ReproduceEvent, type ReproduceOptions } from "./verbs/reproduce/reproduce.ts";
export { draw, type DrawOptions } from "./verbs/draw/draw.ts";
export { setUp, type Provided, type SetupOptions } from "./verbs/setup/setup.ts";
export { pack, type PackOptions, type PackResult } from "./verbs/pack/pack.ts";
export type { Watcher } from "./training/session.ts";
