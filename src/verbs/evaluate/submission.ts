/**
 * Predictions in the format of the ImageNet challenge (ILSVRC): a line per image, sorted by file name, with the numbers
 * of the five most probable classes in order. The challenge numbers its classes from 1 in an order of its own, which
 * its devkit states (meta.mat); for data without a devkit they are numbered from 1 in the order of the network's
 * outputs.
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Answers } from "../../inference/answers.ts";
import { replaceFile } from "../../io/files.ts";

export interface Submission {
  readonly file: string;
  /** Where the class numbers come from. */
  readonly numbers: "devkit" | "outputs";
  /** Number of lines of zeros: images that can't be used keep their line. */
  readonly empty: number;
}

/**
 * @param classOf the network's index of each class of the data
 * @param classes number of the network's classes
 * @throws AlexNetError when it can't be written
 */
export async function writeSubmission(
  file: string,
  dataset: Dataset,
  answers: Answers,
  classOf: Uint32Array,
  classes: number,
): Promise<Submission> {
  const numbers = Uint32Array.from({ length: classes }, (_, k) => k + 1);
  // If the data lack classes of the network, the challenge's numbers for those are unknown.
  const isOfDevkit = dataset.challengeIds !== undefined && classOf.length === classes;
  if (isOfDevkit) classOf.forEach((k, label) => (numbers[k] = dataset.challengeIds![label]!));
  const answerOf = new Map<number, number>();
  for (let i = 0; i < answers.length; i++) answerOf.set(answers.at(i).index, i);
  const lines = namesInOrder(dataset).map((index) => {
    const i = answerOf.get(index);
    const own = i === undefined ? Array(answers.kept).fill(0) : answers.at(i).best.map(({ label }) => numbers[label]);
    return own.join(" ");
  });
  await replaceFile(file, (append) => append(new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""))));
  return { file, numbers: isOfDevkit ? "devkit" : "outputs", empty: lines.length - answers.length };
}

/** Indices of the images, sorted by file name, then by folder. */
function namesInOrder(dataset: Dataset): number[] {
  const names = Array.from({ length: dataset.length }, (_, i) => dataset.nameOf(i));
  const files = names.map((name) => name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1));
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return Array.from(names.keys()).sort((a, b) => compare(files[a]!, files[b]!) || compare(names[a]!, names[b]!));
}
