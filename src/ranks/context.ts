/** The context of long work: where it reports, what stops it, and which ranks share it. */
import { checkOptions, type OptionKinds } from "../options.ts";
import { ALONE, type Ranks } from "./ranks.ts";

export interface Progress {
  readonly type: "progress";
  /** What is being done: "evaluating". */
  readonly what: string;
  readonly done: number;
  readonly total: number;
  /** What is counted: "images". */
  readonly unit?: string;
  readonly imagesPerSecond?: number;
}

/** The events of all long work; most has events of its own, too. */
export type Notice =
  | Progress
  /** What is being done now. */
  | { readonly type: "note"; readonly line: string }
  /** A problem that does not stop the work. */
  | { readonly type: "warning"; readonly line: string };

export interface Context<Event = Notice> {
  /** Called with the work's events. */
  readonly report?: (event: Event) => void;
  /** Stops the work, which then rejects with the signal's reason unless documented otherwise. */
  readonly signal?: AbortSignal;
  /** The processes that share the work, all called with the same options. Only rank 0 writes files. */
  readonly ranks?: Ranks;
}

/** A context with defaults filled in, and shorthands for its events. */
export interface Working<Event> extends Required<Context<Event>> {
  note(line: string): void;
  warn(line: string): void;
  progress(what: string, done: number, total: number, unit?: string): void;
}

/** The options of a context. */
export const CONTEXT: OptionKinds<Context> = { report: "function?", signal: "object?", ranks: "object?" };

/** @param where the function that was called @throws UsageError for an invalid context */
export function working<Event = Notice>(where: string, context: Context<Event | Notice>): Working<Event | Notice> {
  checkOptions<object>(where, context, CONTEXT);
  const { report = () => {}, signal = new AbortController().signal, ranks = ALONE } = context;
  return {
    ...{ report, signal, ranks },
    note: (line) => report({ type: "note", line }),
    warn: (line) => report({ type: "warning", line }),
    progress: (what, done, total, unit) => report({ type: "progress", what, done, total, ...(unit && { unit }) }),
  };
}
