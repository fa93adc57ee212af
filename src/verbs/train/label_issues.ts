/** Images whose labels are likely wrong: those that a model contradicts most which had not learnt them. */
import { nameWithin, type Dataset } from "../../data/dataset.ts";
import type { Answers } from "../../inference/answers.ts";
import { replaceFile } from "../../io/files.ts";
import { drawAnswers } from "../../pictures/answers.ts";
import { renderPng } from "../../pictures/svg.ts";
import { labelPictureOf, writeLabelIssues, type LabelIssue } from "../../runs/findings.ts";
import type { Run } from "../../runs/runs.ts";
import { count } from "../../words.ts";
import { answeredImage } from "../shared/answered.ts";

/** Number of images kept and shown. */
const ISSUES = 10;

interface Judged {
  readonly part: NonNullable<LabelIssue["part"]>;
  readonly dataset: Dataset;
  readonly answers: Answers;
}

/**
 * Keeps the ten images that are contradicted most in label-issues.json, and draws them in label-issues.png; neither if no
 * image is.
 * @throws AlexNetError when they can't be written
 */
export async function keepLabelIssues(run: Run, judged: readonly Judged[]): Promise<void> {
  const worst = judged
    .flatMap(({ part, dataset, answers }) =>
      Array.from(answers.worst().subarray(0, ISSUES), (i) => ({ part, dataset, answer: answers.at(i) })),
    )
    .sort((a, b) => b.answer.loss - a.answer.loss)
    .slice(0, ISSUES);
  if (worst.length === 0) return;
  const { classes } = judged[0]!.dataset;
  const images = judged.reduce((sum, { answers }) => sum + answers.length, 0);
  const issues = worst.map(({ part, dataset, answer: { index, label, loss, best } }) => ({
    ...{ image: nameWithin(dataset, index), part, label: classes[label]!, labelProbability: Math.exp(-loss) },
    ...{ predicted: classes[best[0]!.label]!, probability: best[0]!.probability },
  }));
  await writeLabelIssues(run, { images, issues });
  const cells = [];
  for (const { dataset, answer } of worst) cells.push(await answeredImage(dataset, classes, answer));
  const facts = [`of ${count(images)} images, each judged by a last layer that was trained without it`];
  const png = await renderPng(await drawAnswers({ title: "Likely wrong labels", facts, cells }));
  await replaceFile(labelPictureOf(run), (append) => append(png));
}
