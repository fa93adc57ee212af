/** The files of an evaluation: tables for programs, and two pictures for people. */
import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { titleOf, type Dataset } from "../../data/dataset.ts";
import { AlexNetError, UsageError } from "../../errors.ts";
import type { Answers } from "../../inference/answers.ts";
import { writeCsv, type Cell } from "../../io/csv.ts";
import { reason, replaceFile } from "../../io/files.ts";
import { option } from "../../option_names.ts";
import { drawAnswers } from "../../pictures/answers.ts";
import { drawConfusion } from "../../pictures/confusion.ts";
import { renderPng } from "../../pictures/svg.ts";
import { count } from "../../words.ts";
import { answeredImage } from "../shared/answered.ts";
import type { Evaluation } from "./evaluation.ts";

/** Maximum number of mistakes shown. */
const MISTAKES = 40;

/** Creates the folders for the files, before any work is done. @throws UsageError or AlexNetError */
export function checkPaths(out: string | undefined, submission: string | undefined): void {
  if (submission !== undefined && statSync(submission, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`${option("submission")} ${submission}: it is a folder; name a file`);
  }
  for (const folder of [out, submission && dirname(submission)]) {
    if (folder === undefined) continue;
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw new AlexNetError(`can't make the folder ${folder}: ${reason(error)}`, { cause: error });
    }
  }
}

export interface Reported extends Omit<Evaluation, "files" | "submission"> {
  readonly dataset: Dataset;
  readonly answers: Answers;
  readonly note: (line: string) => void;
}

/** Writes all files into a folder. @returns their paths @throws AlexNetError when one can't be written */
export async function writeReports(folder: string, reported: Reported): Promise<string[]> {
  const written: string[] = [];
  const at = (name: string) => {
    const path = join(folder, name);
    written.push(path);
    return path;
  };
  const { classes, dataset, answers, note } = reported;
  note("writing tables");
  await writeCsv(at("classes.csv"), CLASS_COLUMNS, classes.map(classRow));
  const names = classes.map(({ name }) => name);
  await writeCsv(at("confusion.csv"), ["true \\ predicted", ...names], confusionRows(reported));
  const columns = answerColumns(answers);
  const rowOf = (i: number) => answerRow(reported, i);
  await writeCsv(at("predictions.csv"), columns, Array(answers.length).keys().map(rowOf));
  const worst = answers.worst().subarray(0, MISTAKES);
  await writeCsv(at("mistakes.csv"), columns, [...worst].map(rowOf));
  note("drawing");
  const title = `${reported.network} on ${titleOf(dataset)}`;
  const confusion = await renderPng(await drawConfusion({ title, classes: names, entries: reported.confusion }));
  await replaceFile(at("confusion.png"), (append) => append(confusion));
  const mistakes = await renderPng(await drawMistakes(title, worst, reported));
  await replaceFile(at("mistakes.png"), (append) => append(mistakes));
  return written;
}

const CLASS_COLUMNS = ["class", "images", "predicted", "right", "recall", "precision", "top5_recall", "loss"];

function classRow({ name, scores, predicted }: Evaluation["classes"][number]): Cell[] {
  const { images, wrong1, wrong5, loss } = scores;
  const share = (part: number, whole: number) => (whole === 0 ? undefined : part / whole);
  const right = images - wrong1;
  const [recall, precision] = [share(right, images), share(right, predicted)];
  return [name, images, predicted, right, recall, precision, share(images - wrong5, images), share(loss, images)];
}

function* confusionRows({ classes, confusion }: Reported): Generator<Cell[]> {
  let next = 0;
  for (const [k, { name }] of classes.entries()) {
    const row: Cell[] = [name, ...Array(classes.length).fill(0)];
    // The entries are sorted by true class, then by predicted class.
    for (; confusion[next]?.[0] === k; next++) row[1 + confusion[next]![1]] = confusion[next]![2];
    yield row;
  }
}

function answerColumns({ kept }: Answers): string[] {
  const best = Array.from({ length: kept }, (_, k) => [`class${k + 1}`, `probability${k + 1}`]);
  return ["image", "true_class", "rank", "loss", ...best.flat()];
}

/** The rank is that of the right class by probability, from 1. */
function answerRow({ dataset, answers, classes }: Reported, i: number): Cell[] {
  const { index, label, rank, loss, best } = answers.at(i);
  const named = best.flatMap((each) => [classes[each.label]!.name, each.probability]);
  return [dataset.nameOf(index), classes[label]!.name, rank + 1, loss, ...named];
}

async function drawMistakes(title: string, worst: Uint32Array, reported: Reported): Promise<string> {
  const { answers, classes, dataset, total } = reported;
  const cells = [];
  const names = classes.map(({ name }) => name);
  for (const i of worst) cells.push(await answeredImage(dataset, names, answers.at(i)));
  const fact = `${count(total.wrong1)} of ${count(total.images)} images are wrong; shown: ${worst.length}, by loss`;
  return drawAnswers({
    title: `Mistakes of ${title}`,
    facts: [total.wrong1 === 0 ? "no mistakes" : fact],
    cells,
  });
}
