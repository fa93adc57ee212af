/** A line of progress, as text. */
import { shortened } from "./layout.ts";

/** What is being done, how much of it is done (0 to 1), and more about it, the most important first. */
export interface Progress {
  readonly label: string;
  readonly share?: number;
  readonly facts?: readonly string[];
}

/** Widths of a progress bar: the widest with which everything fits, or the least, so that it seldom changes. */
const WIDTHS = [24, 16, 8];
const LEAST = 8;

/** On one line, without a bar. */
export function inFull({ label, share, facts = [] }: Progress): string {
  const all = [...(share === undefined ? [] : [wholePercent(share)]), ...facts];
  return all.length === 0 ? label : `${label}: ${all.join(", ")}`;
}

/** With a bar, in at most `columns`: what has no room is left out, the least important first. */
export function fitted({ label, share, facts = [] }: Progress, columns: number): string {
  for (let count = facts.length; count >= 0; count--) {
    for (const width of count === facts.length ? WIDTHS : [LEAST]) {
      const drawn = share === undefined ? "" : ` ${line(share, width)} ${wholePercent(share).padStart(4)}`;
      const text = [`${label}${drawn}`, ...facts.slice(0, count)].join("  ");
      if (Bun.stringWidth(text) <= columns) return text;
    }
  }
  const text = share === undefined ? label : `${wholePercent(share)} ${label}`;
  return shortened(text, columns);
}

function wholePercent(share: number): string {
  return `${Math.floor(100 * share)}%`;
}

/** A line of which `share` is thick: a bar that needs no colours. */
function line(share: number, width: number): string {
  const halves = Math.floor(Math.min(1, Math.max(0, share)) * width * 2);
  const thick = "━".repeat(halves >> 1) + (halves % 2 === 1 ? "╸" : "");
  return thick.padEnd(width, "─");
}
