/** Shows long work at a terminal: progress on a line that is overwritten, warnings on lines of their own. */
import type { Context, Notice } from "../ranks/context.ts";
import { ALONE, type Ranks } from "../ranks/ranks.ts";
import { count, duration, ProgressLine, say } from "./terminal.ts";

/** The context that a command passes to its function. Ranks other than 0 show only warnings. */
export function contextFor(signal: AbortSignal, ranks: Ranks = ALONE): Required<Context> {
  const line = new ProgressLine();
  const onEvent = (event: Notice) => {
    if (event.type === "warning") say.warn(event.line);
    else if (ranks.rank === 0) line.update(event.type === "note" ? event.line : inWords(event));
  };
  return { onEvent, signal, ranks };
}

function inWords({ what, done, total, unit, imagesPerSecond }: Extract<Notice, { type: "progress" }>): string {
  const counted = `${what}: ${count(done)} of ${count(total)}${unit === undefined ? "" : ` ${unit}`}`;
  if (imagesPerSecond === undefined) return counted;
  const left = duration((total - done) / imagesPerSecond);
  return `${counted}, ${imagesPerSecond.toFixed(0)} images/s, ${left} left`;
}
