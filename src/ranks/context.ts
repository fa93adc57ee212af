/** What long work is given beside its options: who is told how it goes, what stops it, who shares it. */
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

/** What any long work may say while it is done; most has more to say. */
export type Notice =
  | Progress
  /** What takes its time now. */
  | { readonly type: "note"; readonly line: string }
  /** What went wrong beside the work, which goes on. */
  | { readonly type: "warning"; readonly line: string };

export interface Context<Event = Notice> {
  /** Told how the work goes. */
  readonly report?: (event: Event) => void;
  /** Stops the work, which then rejects with the signal's reason unless it says otherwise. */
  readonly signal?: AbortSignal;
  /** The processes that share the work, each of which calls with the same options; rank 0 alone writes files. */
  readonly ranks?: Ranks;
}

/** A context with all that was not given: nobody to tell, nothing to stop it, one process. */
export interface Working<Event> extends Required<Context<Event>> {
  note(line: string): void;
  warn(line: string): void;
  progress(what: string, done: number, total: number, unit?: string): void;
}

/** What a context may hold. */
export const CONTEXT: OptionKinds<Context> = { report: "function?", signal: "object?", ranks: "object?" };

/** @param where the function that was called @throws UsageError for what is no context */
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
