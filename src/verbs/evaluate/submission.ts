/**
 * Predictions as the ImageNet challenge (ILSVRC) takes them: a line an image, in the order of the files' names, with the
 * numbers of the five most probable classes, the first of them first. The challenge numbers its classes from 1 in an
 * order of its own, which its devkit states (meta.mat); where the data come without one, they are numbered from 1 in
 * the order of the network's outputs.
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Answers } from "../../inference/answers.ts";
import { replaceFile } from "../../io/files.ts";

export interface Submission {
  readonly file: string;
  /** Whose numbers the classes have. */
  readonly numbers: "devkit" | "outputs";
  /** Lines of images that could not be used: zeros, which no class has, so that all others stay in their place. */
  readonly empty: number;
}

/**
 * @param classOf the network's number of each class of the data
 * @param classes how many classes the network knows
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
  // Where the data lack classes that the network knows, the challenge's numbers of those are not known.
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

/** Images by the names of their files; those of one name by their folders. */
function namesInOrder(dataset: Dataset): number[] {
  const names = Array.from({ length: dataset.length }, (_, i) => dataset.nameOf(i));
  const files = names.map((name) => name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1));
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return Array.from(names.keys()).sort((a, b) => compare(files[a]!, files[b]!) || compare(names[a]!, names[b]!));
}
