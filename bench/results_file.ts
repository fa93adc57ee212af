/** Results as a JSON document, written by this harness and by bench/peers. */
import { readFileSync } from "node:fs";
import { UsageError } from "../src/errors.ts";
import { reason, replaceFile } from "../src/io/files.ts";
import { FORMAT, type Results, type Times } from "./results.ts";

/** Samples per row in a file: enough to see the noise. */
const KEPT = 100;

/** Times as stored in a file, to five digits. */
function kept({ best, median, count, samples }: Times): Times {
  const short = (ms: number) => Number(ms.toPrecision(5));
  const chosen = Array.from({ length: Math.min(KEPT, samples.length) }, (_, i) => {
    return short(samples[Math.floor((i * samples.length) / Math.min(KEPT, samples.length))]!);
  });
  return { best: short(best), median: short(median), count, samples: chosen };
}

export async function writeResults(path: string, results: Results): Promise<void> {
  const text = resultsText(results);
  await replaceFile(path, (append) => append(new TextEncoder().encode(text)));
}

/** A results file. @param more what else it has; lists in it are written like rows */
export function resultsText(results: Results, more: Readonly<Record<string, object>> = {}): string {
  const { format, machine, devices, rows, skipped } = results;
  const others = Object.entries(more).map(([name, object]) => {
    const fields = Object.entries(object).map(([key, value]) => {
      return `    ${JSON.stringify(key)}: ${Array.isArray(value) ? list(value) : JSON.stringify(value)}`;
    });
    return `,\n  ${JSON.stringify(name)}: {\n${fields.join(",\n")}\n  }`;
  });
  return (
    `{\n  "format": ${format},\n  "machine": ${JSON.stringify(machine)},\n  "devices": ${list(devices)},\n` +
    `  "rows": ${list(rows.map((row) => ({ ...row, ms: kept(row.ms) })))},\n  "skipped": ${list(skipped)}${others.join("")}\n}\n`
  );
}

/** A list as JSON, one item per line: readable, and diffs stay small. */
export function list(items: readonly unknown[]): string {
  return items.length === 0 ? "[]" : `[\n${items.map((item) => `    ${JSON.stringify(item)}`).join(",\n")}\n  ]`;
}

/** @throws UsageError when the file is missing, damaged, or of another format */
export function readResults(path: string): Results {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`can't read the results ${path}: ${reason(error)}`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not a results file: ${(error as Error).message}`, { cause: error });
  }
  const found = value as Partial<Results> | null;
  if (typeof found === "object" && found && typeof found.format === "number" && found.format !== FORMAT) {
    throw new UsageError(`${path} has format ${found.format}, but this program reads ${FORMAT}: measure again`);
  }
  if (!isResults(value))
    throw new UsageError(`${path} is not a results file: it lacks machine, devices, rows or some of their fields`);
  return value;
}

/** Whether all fields that this program reads are there. */
function isResults(value: unknown): value is Results {
  if (!isObject(value) || value.format !== FORMAT || !isObject(value.machine)) return false;
  const { machine, devices, rows, skipped } = value;
  return (
    has(machine, {
      processor: "string",
      cores: "number",
      os: "string",
      bun: "string",
      commit: "string",
      date: "string",
    }) &&
    isList(devices, (device) => has(device, { device: "string", description: "string" })) &&
    isList(rows, isRow) &&
    isList(skipped, (item) => has(item, { suite: "string", name: "string", contestant: "string", reason: "string" }))
  );
}

function isRow(row: Fields): boolean {
  const { work, ms } = row;
  return (
    has(row, { suite: "string", name: "string", contestant: "string", device: "string", check: "string" }) &&
    isObject(work) &&
    has(work, { unit: "string", amount: "number" }) &&
    isObject(ms) &&
    has(ms, { best: "number", median: "number", count: "number" }) &&
    Array.isArray(ms.samples) &&
    ms.samples.length > 0 &&
    ms.samples.every((sample) => typeof sample === "number" && sample >= 0)
  );
}

type Fields = Record<string, unknown>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: unknown, isItem: (item: Fields) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => isObject(item) && isItem(item));
}

function has(object: Fields, fields: Readonly<Record<string, "string" | "number">>): boolean {
  return Object.entries(fields).every(([name, type]) => typeof object[name] === type);
}
