/**
 * A list of images with their classes: a .csv (`path,label` and optionally `split`, with or without a header row) or a
 * .jsonl (one object per line, with the same keys). Paths are relative to the list's folder.
 */
import { dirname } from "node:path";
import { DataError, oneLine } from "../../errors.ts";
import { excerpt, openFile, readText } from "../../io/bytes.ts";
import { plural } from "../../words.ts";
import { asStored, filesBelow } from "../folder.ts";
import { formatByName } from "../names.ts";
import { byBytes, distinct, inSplits } from "./classes.ts";
import { csvRows, MAX_ROW_LENGTH } from "./csv.ts";
import type { ImageSource } from "./source.ts";
import { splitOf, type Split } from "./splits.ts";
import { classNames } from "./synsets.ts";

/** For comparison, a list of ImageNet's 1.3 million images has about 70 MB. */
const MAX_LIST_BYTES = 512 * 2 ** 20;

/** Accepted column names, in lower case. */
const COLUMNS = {
  path: ["path", "file", "filename", "file_name", "filepath", "image", "image_path"],
  label: ["label", "class", "category", "class_name"],
  split: ["split", "part", "set", "subset"],
} as const;
type Column = keyof typeof COLUMNS;

interface ListedImage {
  readonly line: number;
  readonly path: string;
  readonly label: string;
  readonly split: string | undefined;
}

export const list: ImageSource = {
  async openFile(path, remarks) {
    const read = /\.csv$/i.test(path) ? csvItems : /\.(jsonl|ndjson)$/i.test(path) ? jsonItems : undefined;
    if (!read) return undefined;
    const file = await openFile(path);
    const text = await readText(file, MAX_LIST_BYTES).finally(() => file.close());
    const [paths, keys, splits]: [string[], string[], (Split | undefined)[]] = [[], [], []];
    let first: ListedImage | undefined;
    for (const item of read(text, path)) {
      const { line, path: own, label, split } = item;
      first ??= item;
      if ((split === undefined) !== (first.split === undefined))
        throw new DataError(
          `${path}: only one of lines ${first.line} and ${line} has a split: give all images a split, or none`,
        );
      paths.push(relative(own, `${path}, line ${line}`));
      if (label === "") throw new DataError(`${path}, line ${line}: no label for ${excerpt(own)}`);
      keys.push(oneLine(label));
      const known = split === undefined ? undefined : splitOf(split);
      if (split !== undefined && known === undefined)
        throw new DataError(`${path}, line ${line}: the split is "${excerpt(split)}": expected train, val or test`);
      splits.push(known);
    }
    if (paths.length === 0) throw new DataError(`${path} lists no images: expected one line path,label for each`);
    const sorted = distinct(keys, sorter(keys));
    const numbers = new Map(sorted.map((key, label) => [key, label]));
    const folder = dirname(path);
    return inSplits(filesBelow(folder, await asStored(folder, paths), remarks), {
      name: path,
      classes: classNames(sorted),
      labels: keys.map((key) => numbers.get(key.normalize())!),
      indices: Array.from(paths.keys()),
      splits,
    });
  },
};

/** Sorts numerically if all labels are numbers, otherwise by bytes. */
function sorter(keys: readonly string[]): (a: string, b: string) => number {
  return keys.every((key) => /^\d{1,9}$/.test(key)) ? (a, b) => Number(a) - Number(b) || byBytes(a, b) : byBytes;
}

/** A path below the list's folder, with "/". @throws DataError when it leads elsewhere */
function relative(path: string, where: string): string {
  const refused = (why: string) =>
    new DataError(`${where}: "${excerpt(path)}" ${why}: use paths below the list's folder`);
  // The list may have been made on Windows.
  const names = path.trim().replaceAll("\\", "/").split("/");
  if (path.includes("\0")) throw refused("contains a zero byte");
  if (names[0] === "" || /^[a-z]:/i.test(names[0]!)) throw refused(path.trim() === "" ? "is empty" : "is absolute");
  const kept: string[] = [];
  for (const name of names) {
    if (name === "..") {
      if (kept.pop() === undefined) throw refused("leads out of the folder");
    } else if (name !== "" && name !== ".") kept.push(name);
  }
  if (kept.length === 0) throw refused("is not a file");
  return kept.join("/");
}

function* csvItems(text: string, name: string): Generator<ListedImage> {
  let columns: Readonly<Record<Column, number>> | undefined;
  for (const { line, cells } of csvRows(text, name)) {
    if (columns === undefined) {
      const named = find((names) => cells.findIndex((cell) => names.includes(cell.trim().toLowerCase())));
      columns = named.path >= 0 && named.label >= 0 ? named : { path: 0, label: 1, split: 2 };
      if (columns === named) continue;
      if (!formatByName(cells[0]!.trim()))
        throw new DataError(
          `${name}, line ${line}: "${excerpt(cells.join(","))}" is neither a header (path,label,split) nor an image`,
        );
    }
    const [path, label, split] = [cells[columns.path], cells[columns.label], cells[columns.split]];
    if (path === undefined || label === undefined)
      throw new DataError(`${name}, line ${line}: ${plural(cells.length, "cell")}: expected a path and a label`);
    yield { line, path, label: label.trim(), split: split?.trim() === "" ? undefined : split };
  }
}

function* jsonItems(text: string, name: string): Generator<ListedImage> {
  let line = 0;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    line++;
    if (end - at > MAX_ROW_LENGTH)
      throw new DataError(`${name}, line ${line}: more than ${MAX_ROW_LENGTH} characters: it is not a list of images`);
    const json = text.slice(at, end).trim();
    at = end + 1;
    if (json === "") continue;
    const values = parse(json, `${name}, line ${line}`);
    const get = find((names) => names.find((key) => Object.hasOwn(values, key)));
    const [path, label, split] = [get.path, get.label, get.split].map((key) => key && values[key]);
    if (typeof path !== "string" || (typeof label !== "string" && !Number.isInteger(label)))
      throw new DataError(`${name}, line ${line}: expected {"path": "…", "label": string or integer}`);
    yield {
      line,
      path,
      label: String(label),
      split: split === undefined || split === null ? undefined : String(split),
    };
  }
}

function parse(json: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw new DataError(`${where}: not valid JSON (${(error as Error).message})`, { cause: error });
  }
  throw new DataError(`${where}: not a JSON object`);
}

/** Looks up each column by its names. */
function find<T>(look: (names: readonly string[]) => T): Record<Column, T> {
  return { path: look(COLUMNS.path), label: look(COLUMNS.label), split: look(COLUMNS.split) };
}
