/**
 * Compares a run with an earlier one, by best times, which repeat better than medians on a shared machine. What counts
 * as a change is decided by an A/A comparison: a row's samples are repeatedly split at random into two halves, as if they
 * came from two runs; in 19 of 20 splits, the halves' best times differ by less than the row's noise floor. A smaller
 * difference is not a change.
 */
import { table } from "../src/cli/terminal.ts";
import { Purpose, Random } from "../src/random.ts";
import { milliseconds } from "./units.ts";
import type { Machine, Results, Row } from "./results.ts";

type Verdict = "faster" | "slower" | "no difference";

interface Change {
  readonly now: Row;
  readonly before: Row;
  /** Best time now over best time before. */
  readonly ratio: number;
  /** How far the ratio may be from 1 by chance. */
  readonly floor: number;
  readonly verdict: Verdict;
}

interface Comparison {
  readonly changes: readonly Change[];
  /** Rows of only one of the runs. */
  readonly missing: readonly { readonly row: Row; readonly only: "now" | "before" }[];
  /** Other differences than the code, such as the machine. */
  readonly notes: readonly string[];
}

const DEALS = 400;
const CONFIDENCE = 0.95;
/** An A/A comparison within one process misses differences between processes, such as memory layout. */
const LEAST_FLOOR = 0.05;

export function compare(now: Results, before: Results): Comparison {
  const earlier = new Map(before.rows.map((row) => [keyOf(row), row]));
  const found = now.rows.flatMap((row) => {
    const same = earlier.get(keyOf(row));
    // Parts of a step may take less time than the clock can resolve.
    const isComparable = same && same.work.amount === row.work.amount && row.ms.best > 0 && same.ms.best > 0;
    return isComparable ? [{ now: row, before: same }] : [];
  });
  const floors = found.map((pair) => Math.max(noiseFloor(pair.now.ms.samples), noiseFloor(pair.before.ms.samples)));
  const changes = found.map((pair, i): Change => {
    // A row whose few samples happen to agree is not less noisy than its suite.
    const suite = floors.filter((_, k) => found[k]!.now.suite === pair.now.suite);
    const floor = Math.max(LEAST_FLOOR, floors[i]!, medianOf(suite));
    const ratio = pair.now.ms.best / pair.before.ms.best;
    const isChange = Math.abs(Math.log(ratio)) > Math.log1p(floor);
    return { ...pair, ratio, floor, verdict: isChange ? (ratio < 1 ? "faster" : "slower") : "no difference" };
  });
  const matched = new Set(found.map((pair) => keyOf(pair.now)));
  const suites = new Set(now.rows.map(({ suite }) => suite));
  const missing = [
    ...now.rows.filter((row) => !matched.has(keyOf(row))).map((row) => ({ row, only: "now" as const })),
    // Suites that were not run this time are not missing.
    ...before.rows
      .filter((row) => !matched.has(keyOf(row)) && suites.has(row.suite))
      .map((row) => ({ row, only: "before" as const })),
  ];
  return { changes, missing, notes: notesOf(now, before) };
}

/** The relative difference between random halves of the samples that is exceeded one time in twenty. */
export function noiseFloor(samples: readonly number[]): number {
  if (samples.length < 4) return spread(samples);
  const random = new Random(0, Purpose.drawing, samples.length);
  const half = Math.floor(samples.length / 2);
  const differences = Array.from({ length: DEALS }, () => {
    const order = random.permutation(samples.length);
    const best = (from: number, to: number) => Math.min(...Array.from(order.slice(from, to), (i) => samples[i]!));
    return Math.abs(Math.log(best(0, half) / best(half, samples.length)));
  });
  return Math.expm1(differences.sort((a, b) => a - b)[Math.ceil(CONFIDENCE * DEALS) - 1]!);
}

/** For too few samples to split: their whole range. */
function spread(samples: readonly number[]): number {
  return Math.max(...samples) / Math.min(...samples) - 1;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function keyOf({ suite, name, contestant, device }: Row): string {
  return JSON.stringify([suite, name, contestant, device]);
}

function notesOf(now: Results, before: Results): string[] {
  const words: Readonly<Partial<Record<keyof Machine, string>>> = {
    ...{ processor: "machine", os: "system", bun: "version of Bun", commit: "commit" },
  };
  const notes = Object.entries(words).flatMap(([field, word]) => {
    const [old, current] = [before.machine[field as keyof Machine], now.machine[field as keyof Machine]];
    return old === current ? [] : [`of another ${word}: ${old}, now ${current}`];
  });
  for (const { device, description } of now.devices) {
    const old = before.devices.find((other) => other.device === device);
    if (old && old.description !== description) {
      notes.push(`of another ${device}: ${old.description}, now ${description}`);
    }
  }
  return notes;
}

export function comparisonText({ changes, missing, notes }: Comparison, file: string): string {
  const lines = notes.length > 0 ? [`${file} is ${notes.join("; ")}: what both have is compared anyway`] : [];
  if (changes.length === 0) return [...lines, `${file} has nothing in common with this run`].join("\n");
  const head = [`against ${file}`, "", "", "before", "now", "ratio", "noise", ""];
  const rows = changes.map(({ now, before, ratio, floor, verdict }) => [
    ...[now.name, now.contestant, now.device, milliseconds(before.ms.best), milliseconds(now.ms.best)],
    ...[`${ratio.toFixed(2)}×`, `±${(100 * floor).toFixed(1)}%`, verdict],
  ]);
  lines.push(table([head, ...rows], [3, 4, 5, 6]));
  const count = (verdict: Verdict) => changes.filter((change) => change.verdict === verdict).length;
  lines.push(`${count("faster")} faster, ${count("slower")} slower, ${count("no difference")} without a difference`);
  for (const only of ["now", "before"] as const) {
    const names = missing
      .filter((one) => one.only === only)
      .map(({ row }) => `${row.name} (${row.contestant}, ${row.device})`);
    if (names.length > 0) lines.push(`${only === "now" ? "only in this run" : "only before"}: ${names.join("; ")}`);
  }
  return lines.join("\n");
}
