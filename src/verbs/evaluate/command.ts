import { sayRemarks } from "../../cli/remarks.ts";
import {
  bar,
  bold,
  count,
  dim,
  here,
  label,
  percent,
  plural,
  print,
  printJson,
  say,
  shortened,
  table,
  widthsFor,
} from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { means, type Scores } from "../../inference/scores.ts";
import { evaluate, EVALUATE_OPTIONS } from "./evaluate.ts";
import type { Evaluation } from "./evaluation.ts";

const BAR = 20;
const VIEWS = {
  1: "centre crops",
  2: "centre crops and their mirror images",
  6: "six views of each",
  10: "ten views of each",
};
/** The second score is that the right class is among so many; with no more classes, it always is. */
const TOP = 5;
/** With more classes than this, only the worst are printed. */
const MANY = 50;
const WORST = 20;

export default verb({
  description: "Measure a trained model's loss and accuracy, over all images and for each class",
  options: EVALUATE_OPTIONS,
  isShared: true,
  finishes: "this batch",
  async run(options, { json }, context) {
    const result = await evaluate({ ...options, ...context });
    if (context.ranks.rank !== 0) return;
    if (json) printJson(forPrograms(result));
    else show(result);
  },
});

function forPrograms({ total, classes, ...rest }: Evaluation) {
  const byClass = classes.map(({ name, scores, predicted }) => {
    const right = scores.images - scores.wrong1;
    return {
      ...{ name, images: scores.images, ...withAccuracy(scores), predicted },
      // Null where there is nothing to divide by.
      ...{ recall: right / scores.images, precision: right / predicted },
    };
  });
  return { ...rest, images: total.images, ...withAccuracy(total), classes: byClass };
}

function withAccuracy(scores: Scores) {
  const found = means(scores);
  return { accuracy: 1 - found.top1, ...found };
}

function show(result: Evaluation): void {
  if (result.changes) say.warn(result.changes);
  const { models, total, interval1, interval5, classes, bad, files, submission } = result;
  sayRemarks(result.remarks);
  for (const each of bad.slice(0, 10)) say.warn(`skipped ${each}`);
  if (bad.length > 10) say.warn(`and ${count(bad.length - 10)} more`);
  if (models.length > 1) print(`mean of ${models.length} models:`);
  const names = models.map(({ network, weights }) => `${bold(network)} (${here(weights)})`);
  print(`${names.join("\n")} on ${label(result.data)}`);
  print(
    `${plural(total.images, "image")}, ${VIEWS[result.views]}, ${result.imagesPerSecond.toFixed(0)} images/s on ${result.device}`,
  );
  const { loss, top1, top5 } = means(total);
  const accuracy = (error: number, [low, high]: readonly [number, number]) =>
    `${bold(percent(1 - error))} ${dim(`(95% interval: ${percent(1 - high)} to ${percent(1 - low)})`)}`;
  print(`accuracy ${accuracy(top1, interval1)}`);
  if (classes.length > TOP) {
    print(`top-${TOP} accuracy ${accuracy(top5, interval5)}`);
    print(`top-1 error ${percent(top1)}, top-5 error ${percent(top5)}`);
  }
  print(`loss ${loss.toFixed(4)}`);
  print(byClass(classes));
  if (submission) {
    const whose = { devkit: "the devkit's class numbers", outputs: "classes numbered from 1 in the model's order" };
    if (submission.empty > 0) say.warn(`${plural(submission.empty, "line")} of zeros for images that can't be used`);
    print(`${here(submission.file)}: a line per image, sorted by file name; ${whose[submission.numbers]}`);
  }
  for (const file of files) print(here(file));
}

function byClass(classes: Evaluation["classes"]): string {
  const seen = classes.filter(({ scores }) => scores.images > 0);
  const recall = ({ scores }: (typeof seen)[number]) => 1 - scores.wrong1 / scores.images;
  const few = seen.length <= MANY;
  const shown = few ? seen : seen.toSorted((a, b) => recall(a) - recall(b)).slice(0, WORST);
  const names = shown.map(({ name }) => label(name));
  // Two columns before each, "100.0%", "of 1,000" and "precision".
  const width = widthsFor(names, 31, BAR);
  const rows = shown.map((each, i) => {
    const { scores, predicted } = each;
    const precision = predicted === 0 ? "never" : percent((scores.images - scores.wrong1) / predicted);
    return [
      shortened(names[i]!, width.name),
      bar(recall(each), width.bar),
      percent(recall(each)),
      `of ${count(scores.images)}`,
      precision,
    ];
  });
  const which = few ? "" : `, the ${WORST} worst of ${count(seen.length)} (--out FOLDER writes all)`;
  const head = ["", "", "recall", "", "precision"];
  return `by class${which}:\n${table([head, ...rows], [2, 3, 4])}`;
}
