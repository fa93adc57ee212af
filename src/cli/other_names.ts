/** What other programs call the options of this one: said when somebody tries them. */
import { command } from "../program.ts";

/** Their names, by ours. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  rate: ["lr", "lr0", "learning-rate", "base-lr", "initial-lr"],
  batch: ["batch-size", "bs", "per-device-train-batch-size", "train-batch-size"],
  accumulate: ["accumulation-steps", "gradient-accumulation-steps", "grad-accum-steps", "accumulate-grad-batches"],
  epochs: ["num-epochs", "n-epochs", "max-epochs", "num-train-epochs"],
  minutes: ["time", "max-time"],
  decay: ["weight-decay", "wd"],
  schedule: ["lr-scheduler", "scheduler", "sched", "cos-lr"],
  warmup: ["warmup-epochs", "warmup-steps", "lr-warmup-epochs", "num-warmup-steps", "warmup-ratio"],
  optimizer: ["opt", "optim", "optimiser"],
  average: ["ema", "model-ema"],
  augment: ["mixup", "cutmix", "label-smoothing", "smoothing", "auto-augment", "random-erase", "hflip", "augmentation"],
  weights: ["class-sampling"],
  lossWeights: ["class-weights", "class-weight"],
  patience: ["early-stopping", "early-stopping-patience"],
  holdOut: ["val-split", "validation-split", "test-size", "val-ratio"],
  val: ["val-dir", "validation-dir", "test-dir"],
  model: ["arch", "network", "net", "architecture"],
  from: ["pretrained", "finetune", "init-from", "checkpoint"],
  device: ["gpu", "gpus", "cuda", "accelerator"],
  threads: ["jobs", "nproc", "num-threads"],
  out: ["output", "output-dir", "save-dir", "name", "project"],
  seed: ["random-state", "random-seed", "manual-seed"],
  quiet: ["silent", "no-progress"],
  debug: ["traceback"],
};

/** What there is no option for, and why. */
const NONE: readonly (readonly [names: readonly string[], why: string])[] = [
  [
    ["imgsz", "img-size", "image-size", "input-size", "resolution", "crop-size"],
    `the network says which size of images it takes: \`${command("models")}\` lists them, and --model takes a file with another`,
  ],
  [
    ["workers", "num-workers", "j"],
    "images are decoded on all cores; --threads says how many of them the cpu computes with",
  ],
  [["data", "data-dir", "data-path", "dataset", "train-dir"], `the images need no option: ${command("train FOLDER")}`],
  [["amp", "fp16", "bf16", "half", "precision", "mixed-precision"], "all numbers are float32"],
  [
    ["nproc-per-node", "world-size", "local-rank"],
    `several devices train together by mpiexec -n N ${command("train …")}`,
  ],
];

/** What to say of an option that there is not, to somebody who knows it from elsewhere; undefined for any other name. */
export function elsewhere(name: string, flags: ReadonlyMap<string, { readonly key: string }>): string | undefined {
  const typed = name.toLowerCase().replaceAll("_", "-");
  for (const [flag, { key }] of flags) if (NAMES[key]?.includes(typed)) return `here it is --${flag}`;
  return NONE.find(([names]) => names.includes(typed))?.[1];
}
