/** Turns outcomes into rows of a results file, and compares them. */
import { shown } from "../report.ts";
import { isOurs, times, type Row, type Skipped, type Work } from "../results.ts";
import type { Contestant } from "./contestants.ts";
import { verify, type Outcome } from "./job.ts";

/** A piece of work, with its name in rows and the name of a contestant's result. */
export interface Piece {
  readonly task: "matmul" | "step" | "photos";
  readonly name: string;
  readonly result: string;
  readonly work: Work;
}

type Who = Pick<Contestant, "name" | "device">;

/** Collects rows over several rounds. */
export class Rows {
  readonly #rows = new Map<string, Row>();
  readonly #skipped = new Map<string, Skipped>();

  get rows(): Row[] {
    return [...this.#rows.values()];
  }

  /** What was never measured; a piece that failed in only some rounds is a row. */
  get skipped(): Skipped[] {
    return [...this.#skipped].filter(([key]) => !this.#rows.has(key)).map(([, skipped]) => skipped);
  }

  /** Adds one process's results to those of earlier rounds. */
  add(who: Who, pieces: readonly Piece[], { version, results }: Outcome): void {
    for (const { task, name, result: wanted, work } of pieces) {
      const result = results.find((each) => each.name === wanted);
      if (!result || "cannot" in result) {
        this.skip(who, task, name, result?.cannot ?? "it did not report it");
        continue;
      }
      try {
        this.measured(
          who,
          { suite: task, name, contestant: version, work, check: verify(task, result) },
          result.samples,
        );
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.skip(who, task, name, error.message);
      }
    }
  }

  measured(who: Who, row: Omit<Row, "device" | "ms" | "clock">, samples: readonly number[]): void {
    const key = keyOf(who, row.name);
    const earlier = this.#rows.get(key)?.ms.samples ?? [];
    this.#rows.set(key, { ...row, device: who.device, ms: times([...earlier, ...samples]), clock: "wall" });
  }

  skip(who: Who, suite: string, name: string, reason: string): void {
    this.#skipped.set(keyOf(who, name), { suite, name, contestant: who.name, device: who.device, reason });
  }
}

function keyOf({ name, device }: Who, piece: string): string {
  return [name, device, piece].join("\n");
}

interface Comparison {
  readonly name: string;
  readonly ours: Row;
  readonly theirs: Row;
  /** How many times as fast ours is, by best times; below 1, we lose. */
  readonly ratio: number;
}

/** Compares each of our rows with each of theirs at the same piece of work. */
export function compare(rows: readonly Row[]): Comparison[] {
  const theirs = rows.filter((row) => !isOurs(row));
  return rows
    .filter(isOurs)
    .flatMap((our) =>
      theirs
        .filter(({ name, suite }) => name === our.name && suite === our.suite)
        .map((their) => ({ name: our.name, ours: our, theirs: their, ratio: their.ms.best / our.ms.best })),
    );
}

/** A Markdown table: one line for each of their rows, with each of ours beside it. */
export function table(rows: readonly Row[], skipped: readonly Skipped[]): string {
  const devices = [...new Set(rows.filter(isOurs).map(({ device }) => device))];
  const head = ["", "they", "theirs", ...devices.flatMap((device) => [`ours, ${device}`, "ours ÷ theirs"])];
  const comparisons = compare(rows);
  const pieces = [...new Set(rows.map(({ name }) => name))];
  const lines = rows
    .filter((row) => !isOurs(row))
    .toSorted((a, b) => pieces.indexOf(a.name) - pieces.indexOf(b.name))
    .map((their) => [
      ...[their.name, their.contestant, shown(their, their.ms.best)],
      ...devices.flatMap((device) => {
        const found = comparisons.find(({ theirs, ours }) => theirs === their && ours.device === device);
        return found ? [shown(found.ours, found.ours.ms.best), `${found.ratio.toFixed(2)}×`] : ["", ""];
      }),
    ]);
  const body = [head, head.map((_, i) => (i < 2 ? "---" : "---:")), ...lines];
  const notes = skipped.map(({ name, contestant, reason }) => `- ${contestant} not at ${name}: ${reason}`);
  return [...body.map((cells) => `| ${cells.join(" | ")} |`), "", ...notes].join("\n").trimEnd();
}

/** Where a peer is faster than all of ours, and by how much. */
export function losses(rows: readonly Row[]): string[] {
  const comparisons = compare(rows);
  return [...new Set(comparisons.map(({ theirs }) => theirs))].flatMap((their) => {
    const best = Math.max(...comparisons.filter(({ theirs }) => theirs === their).map(({ ratio }) => ratio));
    if (best >= 1) return [];
    return [`${their.name}: ${their.contestant} is ${(1 / best).toFixed(2)} times as fast as the best of ours`];
  });
}
