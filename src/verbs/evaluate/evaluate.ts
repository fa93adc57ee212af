/** Evaluation: loss and errors of one model, or of several whose predictions are averaged, on a set of images. */
import type { Dataset } from "../../data/dataset.ts";
import { closeSets } from "../../data/select.ts";
import { DEVICE_OPTIONS, openDeviceOf, type DeviceOptions } from "../../devices/open.ts";
import { DataError, UsageError } from "../../errors.ts";
import { confusionOf, interval95 } from "../../inference/answers.ts";
import { openTrained, setsFor, type Trained } from "../../inference/loaded_model.ts";
import { checkOptions, type OptionKinds, given } from "../../options.ts";
import {
  agree,
  describeDevice,
  fingerprint,
  gatherValues,
  hashOf,
  settingsOf,
  stoppedElsewhere,
} from "../../ranks/agreement.ts";
import { answerTogether } from "../../ranks/answer_together.ts";
import { ALONE, type Ranks } from "../../ranks/ranks.ts";
import { checkCount, checkViews } from "../../runs/config.ts";
import { plural } from "../../words.ts";
import type { Evaluation } from "./evaluation.ts";
import { checkPaths, writeReports } from "./files.ts";
import { writeSubmission } from "./submission.ts";

export interface EvaluateOptions extends DeviceOptions {
  /** A folder or archive; the validation part of what the run was trained on if not given. */
  readonly data?: string;
  /** A run or a checkpoint file; the newest run if not given. */
  readonly model?: string;
  /** Several of them, whose predictions are averaged; in place of `model`. */
  readonly models?: readonly string[];
  readonly batch?: number;
  /** 1: the centre; 2: the centre and its mirror image; 10: corners and centre, and their mirror images [P §4.1]. */
  readonly views?: number;
  /** The folder for the confusion matrix, the mistakes, and everything as CSV; nothing is written if not given. */
  readonly out?: string;
  /** The file for the predictions as the ImageNet challenge (ILSVRC) takes them. */
  readonly submission?: string;
}

const OPTIONS: OptionKinds<EvaluateOptions> = {
  ...DEVICE_OPTIONS,
  ...{ data: "string?", model: "string?", models: "string[]?", batch: "number?", views: "number?" },
  ...{ out: "string?", submission: "string?" },
};

/**
 * @param progress told of the images done
 * @param note told what takes its time before, a line at a time: downloads, and indexes of large archives
 * @param ranks who share the images, each calling this with the same options; rank 0 alone writes files
 * @param signal stops it: it then rejects with the signal's reason
 * @throws UsageError, DataError, CheckpointError or DeviceError
 */
export async function evaluate(
  options: EvaluateOptions,
  progress: (done: number, total: number) => void = () => {},
  signal?: AbortSignal,
  note: (line: string) => void = () => {},
  ranks: Ranks = ALONE,
): Promise<Evaluation> {
  checkOptions("evaluate", options, OPTIONS);
  const views = checkViews(options.views ?? 1);
  if (options.batch !== undefined) checkCount("--batch", options.batch);
  const named = namedModels(options);
  const { out, submission: submissionFile } = options;
  const trained: Trained[] = [];
  try {
    for (const name of named) trained.push(openTrained(name));
    const [first] = trained as [Trained];
    for (const other of trained) requireSameClasses(first, other);
    const sets = await setsFor(options.data, first, note);
    try {
      const dataset = sets.val;
      const classOf = classesOf(dataset, first);
      checkPaths(out, submissionFile);
      await agree(ranks, async () => ({
        ...settingsOf(options),
        weights: trained.map(({ weights }) => hashOf(weights.path)),
        images: await fingerprint(dataset),
      }));
      const backend = await openDeviceOf(options, ranks);
      try {
        const recipe = Math.min(...trained.map(({ network }) => network.recipe.batch));
        const batch = Math.min(options.batch ?? recipe, dataset.length);
        const members = trained.map((each) => each.load(backend, batch));
        const start = performance.now();
        const pass = { batch, views, classOf, progress, ...(signal && { signal }) };
        const found = await answerTogether(ranks, members, dataset, pass);
        if (!found) throw signal?.reason ?? stoppedElsewhere();
        const { answers } = found;
        const bad = (await gatherValues(ranks, found.bad)).flat();
        const imagesPerSecond = (1000 * answers.length) / (performance.now() - start);
        const { total, byClass, predicted } = answers.scores(first.classes.length);
        const classes = first.classes.map((name, k) => ({ name, scores: byClass[k]!, predicted: predicted[k]! }));
        const models = trained.map(({ network, weights }) => ({ network: network.name, weights: weights.path }));
        const result = {
          network: [...new Set(models.map(({ network }) => network))].join(" + "),
          weights: models.map(({ weights }) => weights).join(", "),
          ...{ models, views, total, classes, bad, imagesPerSecond },
          data: dataset.name,
          remarks: sets.remarks,
          ...given({ changes: sets.changes }),
          device: describeDevice(ranks, backend),
          interval1: interval95(total.wrong1, total.images),
          interval5: interval95(total.wrong5, total.images),
          confusion: confusionOf(answers, classes.length),
        };
        if (ranks.rank !== 0) return { ...result, files: [] };
        const files = out === undefined ? [] : await writeReports(out, { ...result, dataset, answers, note });
        if (submissionFile === undefined) return { ...result, files };
        return {
          ...result,
          files,
          submission: await writeSubmission(submissionFile, dataset, answers, classOf, classes.length),
        };
      } finally {
        await backend.close();
      }
    } finally {
      await closeSets(sets);
    }
  } finally {
    for (const { close } of trained) close();
  }
}

function namedModels({ model, models }: EvaluateOptions): readonly (string | undefined)[] {
  if (models === undefined) return [model];
  if (model !== undefined) throw new UsageError("--model and --models are two ways to name models: use one of them");
  if (models.length === 0 || models.some((name) => name === "")) {
    throw new UsageError("--models: needs names of runs or files with commas between: --models a,b,c");
  }
  const twice = models.find((name, i) => models.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError(`--models: "${twice}" is there twice: an average needs different ones`);
  return models;
}

function requireSameClasses(first: Trained, other: Trained): void {
  const [a, b] = [first.classes, other.classes];
  const k = a.findIndex((name, i) => name !== b[i]);
  if (k < 0 && a.length === b.length) return;
  const difference = k < 0 ? "" : `; output ${k} is "${a[k]}" of one and "${b[k] ?? "missing"}" of the other`;
  throw new UsageError(
    `${first.weights.path} knows ${plural(a.length, "class", "classes")}, ${other.weights.path} ${b.length}${difference}: ` +
      `only predictions for the same classes in the same order can be averaged`,
  );
}

/** The model's number of each class of the data, which may be some of those that it knows. @throws DataError */
function classesOf({ name, classes }: Dataset, { classes: known, weights }: Trained): Uint32Array {
  const numbers = new Map(known.map((each, k) => [each, k]));
  const unknown = classes.find((each) => !numbers.has(each));
  if (unknown === undefined) return Uint32Array.from(classes, (each) => numbers.get(each)!);
  throw new DataError(
    `${name} has ${plural(classes.length, "class", "classes")}, ${weights.path} knows ${known.length}; "${unknown}" is unknown to it: ` +
      `evaluate on data with the classes it was trained on`,
  );
}
