/** The library that the commands are built on. docs/library.md shows it in a few programs. */
export * from "./errors.ts";
export { Random, Purpose, streamKey } from "./random.ts";

export type { ArrayOf, Backend, Buffer, BufferView, HalfArray, HostArray, KernelTime } from "./engine/backend.ts";
export {
  kernel,
  line,
  type Access,
  type BufferSpec,
  type Constants,
  type Elements,
  type ElementType,
  type Kernel,
  type Variant,
  type Workgroups,
} from "./engine/kernel.ts";
export { openReference } from "./engine/reference.ts";
export { openDevice, type DeviceOptions } from "./devices/open.ts";
export { allowDownloads, type OnProgress as OnDownload } from "./native/permission.ts";

export {
  Tensor,
  type AllReduce,
  type AnyTensor,
  type Entry,
  type Owner,
  type Part,
  type TypeOf,
} from "./engine/tensor.ts";
export type { Initial, ParameterOptions } from "./engine/later/initial.ts";
export { Parameter } from "./engine/parameter.ts";
export { tapeOf } from "./engine/inputs.ts";
export { Tape, type BackwardOptions, type TapeOptions } from "./engine/tape.ts";

export { relu, tanh } from "./engine/ops/activation.ts";
export { gelu, geluTanh, hardSwish, relu6, sigmoid, silu } from "./engine/ops/later/activation.ts";
export { add, subtract, type AddOptions } from "./engine/ops/later/add.ts";
export { adamw, type AdamWOptions } from "./engine/ops/later/adamw.ts";
export { augment, type AugmentOptions } from "./engine/ops/augment.ts";
export { batchNorm, type BatchNormOptions, type BatchNormTensors } from "./engine/ops/later/batch_norm.ts";
export type { Activation, EpilogueOptions } from "./engine/ops/later/epilogue.ts";
export type { Padding } from "./engine/ops/shapes.ts";
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
export { weightedCrossEntropy } from "./engine/ops/later/weighted_cross_entropy.ts";
export { softmaxCrossEntropy, type CrossEntropy, type Targets } from "./engine/ops/softmax_cross_entropy.ts";
export { mean, meanSquaredError, sum } from "./engine/ops/later/sum.ts";

export * as layers from "./net/layers/index.ts";
export {
  defineNetwork,
  networkFromJson,
  networkToJson,
  type LayerJson,
  type NetworkDraft,
  type NetworkJson,
  type RecipeDraft,
} from "./net/definition.ts";
export type {
  Block,
  Common as LayerCommon,
  Fold as LayerFold,
  ImageShape,
  Layer,
  LayerCall,
  LayerInitial,
  LayerOptions,
  LayerPart,
  NamedShape,
  OnnxAttributes,
  OnnxData,
  OnnxGraph,
  ParameterSpec,
  Pass,
  Placement,
  Rows,
  SimpleLayer,
  StateSpec,
} from "./net/layer.ts";
export { openNetwork } from "./net/network_file.ts";
export { Model, place, type PlacedLayer } from "./net/model.ts";
export { findNetwork, networks } from "./net/networks.ts";
export { forwardBackward, networkInput, passOf, uploadMean, type Images, type TrainingBatch } from "./net/passes.ts";
export type { LossLabels, MixedLabels } from "./net/passes.ts";
export type { Warmup } from "./net/later/warmup.ts";
export type { Augmentation, Network, ParameterGroup, Phase, Recipe, ResizeFilter, Schedule } from "./net/recipe.ts";
export type { Average } from "./net/later/average.ts";
export type { StateTensor } from "./net/state.ts";
export type { Statistic } from "./net/statistic.ts";
export type { Bin, Calibration, Prototypes } from "./weights/calibration.ts";
export { openCheckpoint, saveCheckpoint, type Checkpoint, type CheckpointContents } from "./weights/checkpoint.ts";
export { createOptimizer } from "./net/optimizers.ts";
export type { Learnable, Learned, Optimizer, OptimizerSettings, Rate } from "./net/optimizer.ts";
export { AdamW } from "./net/later/adamw.ts";
export { Muon } from "./net/later/muon.ts";
export { Nesterov } from "./net/later/nesterov.ts";
export { Sgd } from "./net/sgd.ts";
export { rateAt, type ScheduleState } from "./net/schedule.ts";

export type { ColourAxes, Dataset, Encoded, Fold, Pixels, Statistics } from "./data/dataset.ts";
export { datasetOf, type DatasetOptions, type LabelledImage } from "./data/memory.ts";
export { openDataset, type Opened, type OpenOptions } from "./data/open.ts";
export type { Remark, RemarkKind } from "./data/remarks.ts";
export { shapes, type ShapesOptions } from "./data/shapes.ts";
export { measureStatistics, type MeasureOptions } from "./data/statistics.ts";
export { createLoader, type Batch, type Loader, type LoaderOptions } from "./data/loader.ts";
export { RecordCache } from "./data/cache.ts";
export type { Shuffle } from "./data/sampling.ts";
export type { Share } from "./data/share.ts";
export type { Progress as OnProgress } from "./data/sources/source.ts";
export type { FileRange } from "./io/bytes.ts";
export {
  centreView,
  drawViews,
  mixedLabels,
  testViews,
  type AugmentationOptions,
  type ViewCount,
} from "./data/augmentation.ts";

export type { Classification } from "./inference/classification.ts";
export {
  load,
  type Classifier,
  type ClassifyOptions,
  type ImageSource,
  type LoadOptions,
} from "./inference/classifier.ts";

export { lastMaps, type LastMaps } from "./inference/cam.ts";
export { openModel, type OpenModel } from "./inference/open_model.ts";

export type { Context, Notice, Progress } from "./ranks/context.ts";
export type { Ranks } from "./ranks/ranks.ts";
export { type TrainResult } from "./verbs/train/job.ts";
export { train } from "./verbs/train/train.ts";
export { crossValidate, type CrossValidateOptions, type CrossValidation } from "./verbs/train/folds.ts";
export type { TrainOptions } from "./runs/train_options.ts";
export type { EpochRecord, Means, Phases, StartRecord } from "./runs/records.ts";
export type { Report, TrainEvent } from "./training/events.ts";
export { evaluate, type EvaluateOptions } from "./verbs/evaluate/evaluate.ts";
export type { ClassResult, Evaluation } from "./verbs/evaluate/evaluation.ts";
export type { Submission } from "./verbs/evaluate/submission.ts";
export type { ConfusionEntry } from "./inference/answers.ts";
export type { Scores } from "./inference/scores.ts";
export {
  predict,
  type PredictEvent,
  type Prediction,
  type Predictions,
  type PredictOptions,
} from "./verbs/predict/predict.ts";
export { serve, type Listening, type Served, type ServeEvent, type ServeOptions } from "./verbs/serve/serve.ts";
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
export type { KernelReport } from "./verbs/doctor/kernels.ts";
export type { Library, Use } from "./verbs/doctor/libraries.ts";
export type { Disk, MachineReport } from "./verbs/doctor/machine.ts";
export type { FoundLibrary } from "./native/libraries.ts";
export type { Problem } from "./verbs/doctor/problem.ts";
export type { TrainingReport } from "./verbs/doctor/self_test.ts";
export { reproduce, type Reproduced, type ReproduceEvent, type ReproduceOptions } from "./verbs/reproduce/reproduce.ts";
export type { Arm, ArmComparison, Claim, Race, Size, Statement } from "./verbs/reproduce/claims.ts";
export type { TrialOutcome } from "./verbs/reproduce/trial.ts";
export type { ArmResult, ClaimResult, Results } from "./verbs/reproduce/results.ts";
export { draw, type DrawOptions, type Drawing, type Drawn } from "./verbs/draw/draw.ts";
export { setUp, type Provided, type SetupOptions } from "./verbs/setup/setup.ts";
export { pack, type PackOptions, type PackResult } from "./verbs/pack/pack.ts";
export type { ImageProblem } from "./data/partial.ts";
export type { Encoding } from "./data/shard.ts";
