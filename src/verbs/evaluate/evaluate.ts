/** Evaluation: loss and errors on a set of images, of one model or of several whose predictions are averaged. */
import { VIEW_COUNTS } from "../../data/augmentation.ts";
import type { Dataset } from "../../data/dataset.ts";
import { dataset } from "../../data/memory.ts";
import { DEVICE_OPTIONS, openDeviceOf } from "../../devices/open.ts";
import { DataError, UsageError } from "../../errors.ts";
import { confusionOf, interval95 } from "../../inference/answers.ts";
import { openTrained, setsFor, usualBatch, type Trained } from "../../inference/loaded_model.ts";
import { option } from "../../option_names.ts";
import { given } from "../../options.ts";
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
import { working, type Context } from "../../ranks/context.ts";
import { findWeights } from "../../runs/weights.ts";
import { count, oneOf, text, texts, type OptionsOf } from "../../schema.ts";
import { plural } from "../../words.ts";
import type { Evaluation } from "./evaluation.ts";
import { checkPaths, writeReports } from "./files.ts";
import { writeSubmission } from "./submission.ts";

export const EVALUATE_OPTIONS = {
  /** A folder or archive; by default what the run was validated on. */
  data: dataset("A set of images, as for `train` (what the run was validated on)", { place: "word" }),
  /** A run or a checkpoint file; by default the newest run. */
  model: text("A run or a .safetensors file (the newest run)", { hint: "RUN" }),
  /** Several runs or files, instead of `model`: their predictions are averaged. */
  models: texts("Several runs or files, to average their predictions", { hint: "A,B,C" }),
  /** 1: the centre; 2: the centre and its mirror image; 6: also shifted by a pixel up and left, down and right, by reflection; 10: corners and centre, and their mirror images [P §4.1]. */
  views: oneOf(
    VIEW_COUNTS,
    "Crops of each image: 1, the centre; 2, also mirrored; 6, also shifted by a pixel; 10, centre and corners (1)",
    { hint: "1|2|6|10" },
  ),
  /** Batch size; by default as in training. */
  batch: count("Batch size (as in training, or what the device has memory for)", { hint: "N" }),
  /** A folder for the confusion matrix, the worst mistakes, and tables as CSV; by default nothing is written. */
  out: text("Write the confusion matrix, the worst mistakes, class scores and all predictions there (PNG and CSV)", {
    hint: "FOLDER",
  }),
  /** A file for the predictions in the format of the ImageNet challenge (ILSVRC). */
  submission: text("Write the predictions in ILSVRC's format: five class numbers per image, sorted by file name", {
    hint: "FILE",
  }),
  ...DEVICE_OPTIONS,
};

export interface EvaluateOptions extends OptionsOf<typeof EVALUATE_OPTIONS> {}

/** @throws UsageError, DataError, CheckpointError or DeviceError */
export async function evaluate(call: EvaluateOptions & Context = {}): Promise<Evaluation> {
  const { options, ranks, signal, note, progress } = working("evaluate", call, EVALUATE_OPTIONS);
  const { views = 1, out, submission: submissionFile } = options;
  const named = namedModels(options);
  using checkpoints = new DisposableStack();
  // One process fetches what is missing.
  await ranks.share(async () => (await Promise.all(named.map((name) => findWeights(name, note)))).length);
  const trained: Trained[] = [];
  for (const name of named) trained.push(checkpoints.use(await openTrained(name, note)));
  const [first] = trained as [Trained];
  for (const other of trained) requireSameClasses(first, other);
  await using sets = await setsFor(options.data, first, note);
  const dataset = sets.val;
  const classOf = classesOf(dataset, first);
  checkPaths(out, submissionFile);
  await agree(ranks, async () => ({
    ...settingsOf(options),
    weights: trained.map(({ weights }) => hashOf(weights.path)),
    images: await fingerprint(dataset),
  }));
  await using backend = await openDeviceOf(options, ranks);
  const recipe = Math.min(...trained.map(({ network }) => network.recipe.batch));
  const most = Math.min(options.batch ?? recipe, dataset.length);
  const own = options.batch === undefined ? usualBatch(trained, most, backend) : most;
  const batch = Math.min(...(await gatherValues(ranks, own)));
  const members = trained.map((each) => each.load(backend, batch));
  const start = performance.now();
  const found = await answerTogether(ranks, members, dataset, {
    ...{ batch, views, classOf, signal },
    progress: (done, total) => progress("evaluating", done, total),
  });
  if (!found) throw signal.reason ?? stoppedElsewhere();
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
}

function namedModels({ model, models }: EvaluateOptions): readonly (string | undefined)[] {
  if (models === undefined) return [model];
  if (model !== undefined)
    throw new UsageError(`${option("model")} and ${option("models")} can't be combined: use one of them`);
  if (models.length === 0 || models.some((name) => name === "")) {
    throw new UsageError(`${option("models")}: needs the names of runs or files, as in a,b,c`);
  }
  const twice = models.find((name, i) => models.indexOf(name) < i);
  if (twice !== undefined)
    throw new UsageError(`${option("models")}: "${twice}" is named twice: name different models`);
  return models;
}

function requireSameClasses(first: Trained, other: Trained): void {
  const [a, b] = [first.classes, other.classes];
  const k = a.findIndex((name, i) => name !== b[i]);
  if (k < 0 && a.length === b.length) return;
  const difference = k < 0 ? "" : `; output ${k} is "${a[k]}" in the first, "${b[k] ?? "missing"}" in the second`;
  throw new UsageError(
    `${first.weights.path} has ${plural(a.length, "class", "classes")}, ${other.weights.path} ${b.length}${difference}: ` +
      `average only models with the same classes in the same order`,
  );
}

/** The model's index of each class of the data, which may lack some of the model's classes. @throws DataError */
function classesOf({ name, classes }: Dataset, { classes: known, weights }: Trained): Uint32Array {
  const numbers = new Map(known.map((each, k) => [each, k]));
  const unknown = classes.find((each) => !numbers.has(each));
  if (unknown === undefined) return Uint32Array.from(classes, (each) => numbers.get(each)!);
  throw new DataError(
    `${name} has ${plural(classes.length, "class", "classes")}, ${weights.path} ${known.length}, without "${unknown}": ` +
      `evaluate on data with the classes that the model was trained on`,
  );
}
