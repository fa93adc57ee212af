/** Shows long work at a terminal: progress on a line that is overwritten, warnings on lines of their own. */
import type { Context, Notice } from "../ranks/context.ts";
import { ALONE, type Ranks } from "../ranks/ranks.ts";
import { count, duration, ProgressLine, say, type Progress } from "./terminal.ts";

/** The context that a command passes to its function. Ranks other than 0 show only warnings. */
export function contextFor(signal: AbortSignal, ranks: Ranks = ALONE): Required<Context> {
  const line = new ProgressLine();
  const paced = pace();
  const onEvent = (event: Notice) => {
    if (event.type === "warning") say.warn(event.line);
    else if (ranks.rank === 0) line.update(event.type === "note" ? event.line : paced(event));
  };
  return { onEvent, signal, ranks };
}

/** Before this there is too little to judge a pace by. */
const PACE_MS = 1000;

/** Puts progress into words, with the time left at the pace so far where the work itself does not say its pace. */
function pace(): (event: Extract<Notice, { type: "progress" }>) => Progress {
  let [what, first, began] = ["", 0, 0];
  return (event) => {
    const { done, total, unit } = event;
    const now = performance.now();
    if (event.what !== what || done < first) [what, first, began] = [event.what, done, now];
    const measured = now - began > PACE_MS ? (1000 * (done - first)) / (now - began) : 0;
    const perSecond = event.imagesPerSecond ?? measured;
    const facts = [`${count(done)} of ${count(total)}${unit === undefined ? "" : ` ${unit}`}`];
    if (perSecond > 0) facts.unshift(`${duration((total - done) / perSecond)} left`);
    if (perSecond > 0 && (unit ?? "images") === "images") facts.push(`${perSecond.toFixed(0)} images/s`);
    return { label: what, share: total === 0 ? 0 : done / total, facts };
  };
}
