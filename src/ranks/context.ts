/** The context of long work: where it reports, what stops it, and which ranks share it. */
import type { OptionKinds } from "../options.ts";
import { validate, type Schema } from "../schema.ts";
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

/** What every function of the library takes beside its own options. */
export interface Context<Event = Notice> {
  /** Called with the work's events, as they happen. */
  readonly onEvent?: (event: Event) => void;
  /** Stops the work, which then rejects with the signal's reason unless documented otherwise. */
  readonly signal?: AbortSignal;
  /** The processes that share the work, all called with the same options. Only rank 0 writes files. */
  readonly ranks?: Ranks;
}

/** A context with defaults filled in, and shorthands for its events. */
export interface Working<Event = Notice> {
  readonly report: (event: Event) => void;
  readonly signal: AbortSignal;
  readonly ranks: Ranks;
  note(line: string): void;
  warn(line: string): void;
  progress(what: string, done: number, total: number, unit?: string): void;
}

/** What a context consists of. */
export const CONTEXT: OptionKinds<Context> = { onEvent: "function?", signal: "object?", ranks: "object?" };

/**
 * Checks what a function of the library was called with, and takes the context out of it.
 * @param where the function's name
 * @throws UsageError as `validate`
 */
export function working<O extends object, Event = Notice>(
  where: string,
  call: O & Context<Event | Notice>,
  schema: Schema,
): Working<Event | Notice> & { readonly options: O } {
  validate(where, call, schema, CONTEXT);
  const { onEvent: report = () => {}, signal = new AbortController().signal, ranks = ALONE, ...options } = call;
  return {
    ...{ report, signal, ranks, options: options as unknown as O },
    note: (line) => report({ type: "note", line }),
    warn: (line) => report({ type: "warning", line }),
    progress: (what, done, total, unit) => report({ type: "progress", what, done, total, ...(unit && { unit }) }),
  };
}
