/** Labels of a WebDataset: numbers, names or both, with class names optionally in a file beside the shards. */
import { DataError, oneLine } from "../../errors.ts";
import { excerpt, readText } from "../../io/bytes.ts";
import { plural } from "../../words.ts";
import type { Listing } from "../listing.ts";
import { distinct } from "./classes.ts";
import { classNames, unlike } from "./synsets.ts";

/** A class by number, name, or both. */
export interface Label {
  readonly number?: number;
  readonly name?: string;
}

/** A larger class number is an error, and would cost memory for each below it; all of ImageNet has 21,841 classes. */
const MAX_CLASSES = 100_000;
const MAX_NAMES_BYTES = 16 * 2 ** 20;
const NUMBERS = ["label", "cls", "class", "class_id", "label_id", "category"];
const NAMES = ["class_name", "label_name", "classname", "class", "label", "category", "name"];

/** The label in KEY.cls or KEY.json; undefined for JSON without a known key. @throws DataError when it isn't JSON */
export function parseLabel(text: string, name: string): Label | undefined {
  if (!name.endsWith(".json")) return labelOf(text.trim());
  const value = parseJson(text, name);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map(Object.entries(value));
  const number = NUMBERS.map((key) => fields.get(key)).find(isClassNumber);
  const said = NAMES.map((key) => fields.get(key)).find((own) => typeof own === "string" && own !== "");
  if (number === undefined && said === undefined) return undefined;
  return { ...(number !== undefined && { number }), ...(said !== undefined && { name: oneLine(said as string) }) };
}

const isClassNumber = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

function labelOf(text: string): Label | undefined {
  if (text === "") return undefined;
  return /^\d{1,9}$/.test(text) ? { number: Number(text) } : { name: oneLine(text) };
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DataError(`${name}: not valid JSON (${(error as Error).message})`, { cause: error });
  }
}

/** Class names in the order of their numbers, from classes.txt (one per line) or classes.json (a list) at the shards. */
export async function namesBeside(listing: Listing): Promise<readonly string[] | undefined> {
  for (const file of ["classes.txt", "classes.json"]) {
    const i = listing.paths.findIndex((path) => path === file || path.endsWith(`/${file}`));
    const bytes = i >= 0 ? await listing.open(i) : await listing.beside?.(file);
    if (!bytes) continue;
    const text = await readText(bytes, MAX_NAMES_BYTES).finally(() => bytes.close());
    const names = file.endsWith(".txt") ? text.trimEnd().split(/\r?\n/) : parseJson(text, bytes.name);
    if (Array.isArray(names) && names.length <= MAX_CLASSES && names.every((name) => typeof name === "string"))
      return names;
    throw new DataError(
      `${bytes.name} is not a list of up to ${MAX_CLASSES} names: expected ["first class", "second class", …]`,
    );
  }
  return undefined;
}

/**
 * Numbers the classes by their own numbers, otherwise in the order of their names.
 * @param where the path of sample k's label
 * @throws DataError when a number has two names, is too large, or only some labels have a number
 */
export function numberLabels(
  labels: readonly Label[],
  names: readonly string[] | undefined,
  where: (k: number) => string,
): { readonly classes: readonly string[]; readonly labels: readonly number[] } {
  const isNumber = labels[0]!.number !== undefined;
  const odd = labels.findIndex(({ number }) => (number !== undefined) !== isNumber);
  if (odd >= 0) {
    const [number, name] = isNumber ? [0, odd] : [odd, 0];
    throw new DataError(
      `${where(number)} gives the class as number ${labels[number]!.number}, but ${where(name)} as "${excerpt(labels[name]!.name!)}": use numbers or names for all`,
    );
  }
  if (!isNumber) {
    const keys = names ?? distinct(labels.map(({ name }) => name!));
    const numbers = new Map(keys.map((key, number) => [key.normalize(), number]));
    const unknown = labels.findIndex(({ name }) => !numbers.has(name!.normalize()));
    if (unknown >= 0)
      throw new DataError(
        `${where(unknown)}: "${excerpt(labels[unknown]!.name!)}" is not among the ${plural(keys.length, "class", "classes")} listed`,
      );
    return { classes: named(keys), labels: labels.map(({ name }) => numbers.get(name!.normalize())!) };
  }
  const limit = names?.length ?? MAX_CLASSES;
  const own = new Map<number, string>();
  let count = names?.length ?? 0;
  labels.forEach(({ number, name }, k) => {
    if (number! >= limit) throw new DataError(`${where(k)}: class ${number}: numbers must be from 0 to ${limit - 1}`);
    count = Math.max(count, number! + 1);
    const before = own.get(number!) ?? name;
    if (name !== undefined && before!.normalize() !== name.normalize())
      throw new DataError(
        `${where(k)}: class ${number} is called "${excerpt(name)}", but "${excerpt(before!)}" elsewhere`,
      );
    if (name !== undefined) own.set(number!, name);
  });
  const numbers = Array.from({ length: count }, (_, number) => number);
  const classes = named(names ?? numbers.map((number) => own.get(number) ?? `${number}`));
  return { classes, labels: labels.map(({ number }) => number!) };
}

/** The names, with the number appended to those that several classes share. */
function named(names: readonly string[]): readonly string[] {
  return unlike(classNames(names), Array.from(names.keys()));
}
