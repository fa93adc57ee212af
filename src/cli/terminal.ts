/** Terminal output. Results go to standard output; progress, notes and errors to standard error. */
import { relative } from "node:path";
import { createConsola, LogLevels } from "consola";
import { INVISIBLE, oneLine } from "../errors.ts";
import { reason } from "../io/files.ts";
import { columns } from "./layout.ts";
import { fitted, inFull, type Progress } from "./progress.ts";

export { bar, columns, fittingTable, shortened, table, tableOrList, widthsFor } from "./layout.ts";
export type { Progress } from "./progress.ts";
export { count, duration, percent, plural } from "../words.ts";

/** Standard output: open; closed by a reader that has seen enough, such as `head`; or failed, as on a full disk. */
let output: "open" | "closed" | "failed" = "open";
let endsWithReader = false;
/** Number of writes that have not reached the reader yet, and what to call when none is left. */
let unwritten = 0;
let onWritten = () => {};

export function print(text: string): void {
  ProgressLine.clear();
  // After a failed write nothing more is written: output with a gap would look complete.
  if (output !== "open") return;
  unwritten++;
  process.stdout.write(`${text}\n`, (error) => {
    unwritten--;
    if (error) giveUp(error);
    else if (unwritten === 0) onWritten();
  });
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

// Each error is also an event, which would end the process if it had no listener.
process.stdout.on("error", giveUp);
// There is nowhere to report it, and the work goes on: the exit code says how it ended.
process.stderr.on("error", () => {});

function giveUp(error: NodeJS.ErrnoException): void {
  if (output !== "open") return;
  output = isUnread(error) ? "closed" : "failed";
  if (output === "failed") say.error(`can't write to standard output: ${reason(error)}`);
  else if (endsWithReader) process.exit(0);
  onWritten();
}

/**
 * Whether the reader has gone, or the terminal was closed. In the second case SIGHUP follows, after which the work is
 * still saved.
 */
function isUnread({ code }: NodeJS.ErrnoException): boolean {
  return ["EPIPE", "EIO", "ERR_STREAM_DESTROYED"].includes(code ?? "");
}

/** For commands whose only result is what they print: exit when the reader has gone. */
export function endWithReader(): void {
  endsWithReader = true;
}

/** Exits once everything printed has reached its reader; with 1 if it could not be written. */
export async function end(code: number): Promise<never> {
  ProgressLine.clear();
  if (unwritten > 0 && output === "open") await new Promise<void>((resolve) => (onWritten = resolve));
  return process.exit(output === "failed" && code === 0 ? 1 : code);
}

/** Whether nothing but results and errors is shown. */
let isQuiet = false;
export function beQuiet(): void {
  isQuiet = true;
  say.level = LogLevels.error;
}

/** Whether the text on this stream may be coloured (no-color.org). */
function coloured(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/** Strips colours unless standard output shows them. */
export function plain(text: string): string {
  return coloured(process.stdout) ? text : Bun.stripANSI(text);
}

const paint = (code: number) => (text: string) => (coloured(process.stdout) ? `\x1b[${code}m${text}\x1b[0m` : text);
export const [bold, dim, green, cyan] = [1, 2, 32, 36].map(paint) as [Paint, Paint, Paint, Paint];
type Paint = (text: string) => string;

const LABELS: Readonly<Record<string, string>> = { error: "error: ", warn: "warning: " };

/** Notes, warnings and errors: each one line on standard error. */
export const say = createConsola({
  // Otherwise it logs less when NODE_ENV is "test".
  level: LogLevels.info,
  reporters: [
    {
      log({ type, args }) {
        ProgressLine.clear();
        const label = LABELS[type] ?? "";
        const painted =
          coloured(process.stderr) && label ? `\x1b[${type === "error" ? 31 : 33}m${label}\x1b[0m` : label;
        // A driver's message may have several lines, and a file name control codes.
        const text = oneLine(
          args
            .join(" ")
            .trim()
            .replace(/\s*\n\s*/g, " "),
        );
        process.stderr.write(`${painted}${text}\n`);
      },
    },
  ],
});

/** Lines longer than this are hard to read at a glance. */
const MOST_COLUMNS = 200;
/** Interval between progress lines without a terminal, and between updates on one. */
const PIPED_MS = 10_000;
const TERMINAL_MS = 100;

/** A line that is overwritten, and cleared when something is printed; without a terminal, a new line now and then. */
export class ProgressLine {
  /** Whether the last line on the screen is one of these. */
  static #shown = false;
  #last = 0;
  readonly #live = process.stderr.isTTY === true && process.env.TERM !== "dumb";

  constructor() {
    // A terminal shows the first at once; a log needs none for short work.
    if (!this.#live) this.#last = performance.now();
  }

  update(progress: string | Progress): void {
    const now = performance.now();
    if (isQuiet || now - this.#last < (this.#live ? TERMINAL_MS : PIPED_MS)) return;
    this.#last = now;
    const line = typeof progress === "string" ? { label: progress } : progress;
    if (!this.#live) process.stderr.write(`${inFull(line)}\n`);
    // In the last column, some terminals begin a new line.
    else process.stderr.write(`\r\x1b[2K${fitted(line, Math.min(columns(process.stderr), MOST_COLUMNS) - 1)}`);
    ProgressLine.#shown = this.#live;
  }

  static clear(): void {
    if (ProgressLine.#shown) process.stderr.write("\r\x1b[2K");
    ProgressLine.#shown = false;
  }
}

/** A path relative to the working directory where it is below it, without control codes. */
export function here(path: string): string {
  const short = relative(process.cwd(), path);
  return label(short.startsWith("..") ? path : short);
}

/** Untrusted text, such as a class name, on one line and without control codes. */
export function label(words: string): string {
  return oneLine(words).replace(INVISIBLE, "").trim();
}
