/** What a training found out about its images, kept in the run's folder for its report: duplicates.json. */
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

function isDuplicates(value: unknown): value is Duplicates {
  if (!isRecord(value) || !Number.isSafeInteger(value.images) || !Array.isArray(value.pairs)) return false;
  return value.pairs.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
