import { stopOnCtrlC } from "../../cli/interrupt.ts";
import { withRanks } from "../../cli/ranks.ts";
import { say } from "../../cli/terminal.ts";
import { given, deviceArgs, deviceOptions, number, verb } from "../../cli/verb.ts";
import { UsageError } from "../../errors.ts";
import { readFileUpTo, reason } from "../../io/files.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import type { TrainOptions } from "../../runs/config.ts";
import type { Report } from "../../training/events.ts";
import { withTensorboard } from "../../training/tensorboard.ts";
import { openDashboard } from "./dashboard/server.ts";
import { jsonReporter, peopleReporter } from "./reporters.ts";
import { train } from "./train.ts";

export default verb({
  name: "train",
  description:
    "Train an image classifier: on your photos, or without data on a set that the program draws itself. " +
    "mpiexec -n N bun run train … trains on N devices, of one machine or of several",
  args: {
    data: {
      type: "positional",
      required: false,
      description:
        "A folder, .tar or .tar.gz with a folder of images for each class (or train/ and val/ of such), ImageNet's archives, WebDataset's shards, a .csv or .jsonl list, cifar10 or cifar100",
    },
    val: { type: "string", description: "Another set to validate with", valueHint: "PATH" },
    "hold-out": {
      type: "string",
      description: "Share held out for validation if there is no val (0.1)",
      valueHint: "SHARE",
    },
    fraction: { type: "string", description: "Only this share of each class, of both parts (1)", valueHint: "SHARE" },
    limit: { type: "string", description: "At most so many images of each part", valueHint: "N" },
    balance: {
      type: "string",
      description: "0: every image once an epoch; 1: every class equally often; or between them (0)",
      valueHint: "B",
    },
    weights: {
      type: "string",
      description: 'A JSON file: how much more often the images of a class are seen, {"cat": 2}',
      valueHint: "FILE",
    },
    model: {
      type: "string",
      description: "What `bun run models` lists, or a .ts or .json file that defines a network",
      valueHint: "NAME",
    },
    from: {
      type: "string",
      description: "Begin with the weights of a run or checkpoint; for other classes its last layer is new",
      valueHint: "RUN",
    },
    freeze: { type: "string", description: "Layers that don't learn: conv1,conv2 or conv*", valueHint: "LAYERS" },
    rates: {
      type: "string",
      description: "Multiples of the rate by layer: conv*=0.1,fc8=10",
      valueHint: "RATES",
    },
    epochs: { type: "string", description: "How often every image is seen", valueHint: "N" },
    batch: { type: "string", description: "Images a step", valueHint: "N" },
    rate: { type: "string", description: "Learning rate at the start", valueHint: "RATE" },
    schedule: {
      type: "string",
      description:
        "constant, cosine, plateau, or steps: and the epochs at which the rate is divided by ten (steps:30,60)",
      valueHint: "HOW",
    },
    momentum: { type: "string", description: "Momentum", valueHint: "M" },
    decay: { type: "string", description: "Weight decay", valueHint: "D" },
    augment: {
      type: "string",
      description:
        "paper, modern or none, and parts with values that change it: crop, mirror, colour, resized-crop, jitter, erase, mixup, cutmix, smooth (paper,colour=0.05)",
      valueHint: "WHAT",
    },
    seed: { type: "string", description: "The same seed on the same device gives the same bytes (0)", valueHint: "N" },
    split: {
      type: "string",
      description:
        "How several ranks cut the network: towers (two halves, as in 2012), owt (fully connected layers by units), none",
      valueHint: "HOW",
    },
    ...deviceArgs,
    dashboard: {
      type: "string",
      description: "Show it live in a browser, on this machine: on a port, or on one that is free",
      valueHint: "PORT",
    },
    tensorboard: { type: "boolean", description: "Write event files for TensorBoard into the run's folder" },
    out: { type: "string", description: "Folder for the run (runs/MODEL-1, -2, …)", valueHint: "FOLDER" },
    resume: {
      type: "string",
      description: "Go on with a run: its folder, or nothing for the newest",
      valueHint: "RUN",
    },
    "allow-changed-data": {
      type: "boolean",
      description:
        "With --resume: go on although images were added, removed or changed, with those of the run that are left",
    },
  },
  async run(args) {
    const signal = stopOnCtrlC();
    const options = given({
      data: args.data,
      val: args.val,
      holdOut: number("hold-out", args["hold-out"]),
      fraction: number("fraction", args.fraction),
      limit: number("limit", args.limit),
      balance: number("balance", args.balance),
      weights: args.weights === undefined ? undefined : readWeights(args.weights),
      model: args.model,
      from: args.from,
      freeze: args.freeze,
      rates: args.rates,
      epochs: number("epochs", args.epochs),
      batch: number("batch", args.batch),
      rate: number("rate", args.rate),
      schedule: args.schedule,
      momentum: number("momentum", args.momentum),
      decay: number("decay", args.decay),
      augment: args.augment,
      split: args.split,
      seed: number("seed", args.seed),
      out: args.out,
      resume: args.resume,
      allowChangedData: args["allow-changed-data"],
    });
    return withRanks(async (ranks) => {
      const port = ranks.rank === 0 ? number("dashboard", args.dashboard) : undefined;
      const shown = args.json ? jsonReporter() : peopleReporter();
      const full = { ...options, ...deviceOptions(args) };
      // Of the other ranks only what goes wrong there is shown.
      const report = ranks.rank !== 0 ? troubles(shown) : args.tensorboard ? withTensorboard(shown) : shown;
      const { interrupted } = await (port === undefined
        ? train(full, report, signal, [], ranks)
        : trainShown(port, full, report, signal, ranks));
      return interrupted ? 1 : 0;
    });
  },
});

/** What of another rank's report concerns the user. */
function troubles(report: Report): Report {
  return (event) => {
    if (event.type === "bad" || event.type === "warning") report(event);
  };
}

/** Trains while a page shows it. */
async function trainShown(port: number, options: TrainOptions, report: Report, signal: AbortSignal, ranks: Ranks) {
  const dashboard = openDashboard(port);
  try {
    say.info(`dashboard: ${dashboard.url}`);
    const either = AbortSignal.any([signal, dashboard.signal]);
    return await train(options, dashboard.watch(report), either, [dashboard.watcher], ranks);
  } finally {
    await dashboard.close();
  }
}

/** Larger is no file of class weights. */
const MAX_WEIGHTS_BYTES = 16 * 2 ** 20;

/** @throws UsageError when it is no JSON object */
function readWeights(path: string): Record<string, number> {
  let weights: unknown;
  try {
    weights = JSON.parse(readFileUpTo(path, MAX_WEIGHTS_BYTES).toString("utf8"));
  } catch (error) {
    throw new UsageError(`--weights ${path}: ${reason(error)}`, { cause: error });
  }
  if (typeof weights !== "object" || weights === null || Array.isArray(weights)) {
    throw new UsageError(`--weights ${path}: must hold class names and numbers, as in {"cat": 2}`);
  }
  return weights as Record<string, number>;
}
