/** Parts of a long measurement, the most valuable first, in a limited time. Each is saved as it ends. */
import { oneLine } from "../../src/errors.ts";

export interface Part<Data> {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** It is not begun with less time than this. */
  readonly leastMs: number;
  /** The part of the whole time that it may take. */
  readonly share: number;
  /** @param limitMs when it must be over; what it has by then counts @throws whatever is wrong: the next part begins */
  run(limitMs: number): Promise<Outcome<Data>>;
}

export interface Outcome<Data> {
  readonly data: Data;
  /** Why it did not get to its end, though it has data. */
  readonly problem?: string | undefined;
}

/** What became of a part. */
export interface Ended<Data> {
  readonly name: string;
  readonly about: string;
  /** "cut": it did not get to its end, but has data. */
  readonly state: "done" | "cut" | "skipped" | "failed";
  readonly seconds: number;
  readonly reason?: string;
  readonly data?: Data;
}

interface PlanOptions<Data> {
  readonly limitMs: number;
  /** Called before each part. */
  readonly begin?: (part: Part<Data>, limitMs: number) => void;
  /** Called after each part with all so far. */
  readonly save: (ended: readonly Ended<Data>[]) => Promise<void>;
  /** A clock in ms. */
  readonly now?: () => number;
}

/** Runs the parts in order, until the time is used up. */
export async function runParts<Data>(parts: readonly Part<Data>[], options: PlanOptions<Data>): Promise<Ended<Data>[]> {
  const { limitMs, begin = () => {}, save, now = () => performance.now() } = options;
  const start = now();
  const ended: Ended<Data>[] = [];
  for (const part of parts) {
    const { name, about, leastMs, share } = part;
    const left = limitMs - (now() - start);
    const limit = Math.min(left, share * limitMs);
    if (limit < leastMs) {
      const reason = `it takes ${seconds(leastMs)} at least; ${seconds(Math.max(0, limit))} of ${seconds(limitMs)} were left for it`;
      ended.push({ name, about, state: "skipped", seconds: 0, reason });
    } else {
      begin(part, limit);
      const began = now();
      ended.push({ name, about, ...(await endOf(part, limit)), seconds: (now() - began) / 1000 });
    }
    await save(ended);
  }
  return ended;
}

type End<Data> = Pick<Ended<Data>, "state" | "reason" | "data">;

async function endOf<Data>(part: Part<Data>, limitMs: number): Promise<End<Data>> {
  try {
    const { data, problem } = await part.run(limitMs);
    return problem === undefined ? { state: "done", data } : { state: "cut", reason: problem, data };
  } catch (error) {
    return { state: "failed", reason: reasonOf(error) };
  }
}

/** What went wrong, in one line. */
export function reasonOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message || error.name : String(error)).slice(0, 500);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
}
