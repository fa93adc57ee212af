/** The library: what the commands are made of. See README.md for ten lines that use it. */
export * from "./errors.ts";
export { Random, Purpose, streamKey } from "./random.ts";

export type { Backend, Buffer } from "./backends/backend.ts";
export { kernel, line, type Kernel } from "./backends/kernel.ts";
export { openReference } from "./backends/reference.ts";
export { openDevice, type DeviceOptions } from "./tasks/device.ts";

export { Tensor } from "./autograd/tensor.ts";
export { Parameter } from "./autograd/parameter.ts";
export { tapeOf } from "./autograd/inputs.ts";
export { Tape } from "./autograd/tape.ts";

export { relu, tanh } from "./ops/activation.ts";
export { augment } from "./ops/augment.ts";
export { conv2d, type Conv2dOptions } from "./ops/conv2d.ts";
export { dropout, type DropoutOptions } from "./ops/dropout.ts";
export { linear } from "./ops/linear.ts";
export { local2d } from "./ops/local2d.ts";
export { lrn, type LrnOptions } from "./ops/lrn.ts";
export { mapNorm, type MapNormOptions } from "./ops/map_norm.ts";
export { averagePool, maxPool, type PoolOptions } from "./ops/pool.ts";
export { sgd, type SgdOptions } from "./ops/sgd.ts";
export { softmaxCrossEntropy, type CrossEntropy } from "./ops/softmax_cross_entropy.ts";

export * as layers from "./model/layers.ts";
export { Model, place, type PlacedLayer } from "./model/model.ts";
export { findNetwork, networks } from "./model/networks.ts";
export type { Network, Recipe, Schedule } from "./model/recipe.ts";
export { openCheckpoint, saveCheckpoint, type Checkpoint } from "./model/checkpoint.ts";
export { Sgd } from "./optim/sgd.ts";
export { rateAt } from "./optim/schedule.ts";

export { openDataset } from "./data/open.ts";
export { shapes } from "./data/shapes.ts";
export { createLoader } from "./data/loader.ts";
export { centreView, drawViews, mixedLabels, testViews } from "./data/augmentation.ts";

export { train, type TrainResult } from "./tasks/train.ts";
export type { TrainOptions } from "./tasks/config.ts";
export type { Report, TrainEvent } from "./tasks/events.ts";
export { evaluate, type EvaluateOptions, type Evaluation } from "./tasks/evaluate.ts";
export { predict, type Prediction, type PredictOptions } from "./tasks/predict.ts";
export { features, type Features, type FeaturesOptions } from "./tasks/features.ts";
export { similar, type Similar, type SimilarOptions, type SimilarResult } from "./tasks/similar.ts";
export { look, type Look, type LookOptions } from "./tasks/look.ts";
export { exportModel, type Exported, type ExportOptions } from "./tasks/export.ts";
export { importWeights, type Imported, type ImportOptions } from "./tasks/import.ts";
export { report, type ReportOptions } from "./tasks/report.ts";
export { doctor, type DoctorOptions, type Finding } from "./tasks/doctor.ts";
export { reproduce, type Reproduced, type ReproduceOptions } from "./tasks/reproduce.ts";
export { draw, type DrawOptions } from "./tasks/draw.ts";
export { pack, type PackOptions, type PackResult } from "./tasks/pack.ts";
export type { Watcher } from "./tasks/watcher.ts";
