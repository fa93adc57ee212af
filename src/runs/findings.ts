/** What a training found out about its images, kept in the run's folder: duplicates.json, label-issues.json and .png. */
import { join } from "node:path";
import { isRecord } from "../rules.ts";
import { readJson, writeJson, type Run } from "./runs.ts";

/** The contents of duplicates.json: validation images that are nearly the same as training images. */
export interface Duplicates {
  /** Number of validation images in all. */
  readonly images: number;
  /** Names within the sets. */
  readonly pairs: readonly (readonly [val: string, train: string])[];
}

const duplicatesFile = ({ path }: Run) => join(path, "duplicates.json");

/** @throws AlexNetError when the folder can't be written to */
export async function writeDuplicates(run: Run, duplicates: Duplicates): Promise<void> {
  await writeJson(duplicatesFile(run), duplicates);
}

/** Undefined if there is none, or it is damaged. */
export function readDuplicates(run: Run): Duplicates | undefined {
  return readJson(duplicatesFile(run), isDuplicates);
}

/** The contents of label-issues.json: images whose label the model contradicts, the most contradicted first. */
interface LabelIssues {
  /** Number of images judged. */
  readonly images: number;
  readonly issues: readonly LabelIssue[];
}

export interface LabelIssue {
  /** Its name within the set. */
  readonly image: string;
  /** Which set; earlier versions did not say. */
  readonly part?: "training" | "validation";
  readonly label: string;
  readonly labelProbability: number;
  /** The most probable class. */
  readonly predicted: string;
  readonly probability: number;
}

const labelIssuesFile = ({ path }: Run) => join(path, "label-issues.json");

/** Undefined if there is none, or it is damaged. */
export function readLabelIssues(run: Run): LabelIssues | undefined {
  return readJson(labelIssuesFile(run), areLabelIssues);
}

/** @throws AlexNetError when the folder can't be written to */
export async function writeLabelIssues(run: Run, issues: LabelIssues): Promise<void> {
  await writeJson(labelIssuesFile(run), issues);
}

/** The picture of the images in label-issues.json. */
export function labelPictureOf({ path }: Run): string {
  return join(path, "label-issues.png");
}

function isDuplicates(value: unknown): value is Duplicates {
  if (!isRecord(value) || !Number.isSafeInteger(value.images) || !Array.isArray(value.pairs)) return false;
  return value.pairs.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));
}

/** More than are ever written. */
const MOST_ISSUES = 100;

function areLabelIssues(value: unknown): value is LabelIssues {
  if (!isRecord(value) || !Number.isSafeInteger(value.images) || !Array.isArray(value.issues)) return false;
  if (value.issues.length > MOST_ISSUES) return false;
  return value.issues.every((issue) => {
    if (!isRecord(issue)) return false;
    const { image, part = "validation", label, labelProbability, predicted, probability } = issue;
    if (part !== "training" && part !== "validation") return false;
    return [image, label, predicted].every(isText) && [labelProbability, probability].every(Number.isFinite);
  });
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
