/** The state of a training as the dashboard shows it, from the events so far. */
import { basename, join } from "node:path";
import { here } from "../../../cli/terminal.ts";
import { oneLine } from "../../../errors.ts";
import type { Curves, StepPoint } from "../../../pictures/charts.ts";
import { curvesOf, readHistory } from "../../../runs/history.ts";
import type { EpochRecord, StartRecord } from "../../../runs/records.ts";
import { predictCommand, resumeCommand } from "../../../runs/command.ts";
import { Run } from "../../../runs/runs.ts";
import type { TrainEvent } from "../../../training/events.ts";
import { count, duration, percent, plural } from "../../../words.ts";

type StepEvent = Extract<TrainEvent, { type: "step" }>;
type EndEvent = Extract<TrainEvent, { type: "end" }>;

/** How a training ended. */
interface Outcome {
  readonly kind: "done" | "stopped" | "failed";
  readonly words: string;
  readonly next?: NextStep;
}

/** What to do now, and the command for it. */
interface NextStep {
  readonly words: string;
  readonly command: string;
}

/** Interval between points of a curve. Beyond MAX_POINTS every other point is dropped, and the interval doubles. */
const POINT_MS = 500;
const MAX_POINTS = 1000;

export class DashboardState {
  #start: StartRecord | undefined;
  #step: StepEvent | undefined;
  #phase = "Getting ready";
  #outcome: Outcome | undefined;
  #epochs: EpochRecord[] = [];
  #points: StepPoint[] = [];
  #pointMs = POINT_MS;
  #pointAt = -Infinity;
  #imagesPerSecond = 0;
  /** From where images a second are counted: the last point, if only training has happened since. */
  #from: { readonly images: number; readonly at: number } | undefined;
  readonly #now: () => number;
  /** Changes with the curves. */
  version = 0;

  /** @param now the time, in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  see(event: TrainEvent): void {
    switch (event.type) {
      case "note":
        this.#phase = event.line;
        break;
      case "start":
        this.#begin(event);
        break;
      case "measure":
        this.#phase = `Measuring the mean image: ${count(event.done)} of ${count(event.total)}`;
        break;
      case "compare":
        this.#phase = `Looking for duplicates: ${count(event.done)} of ${count(event.total)}`;
        break;
      case "features":
        this.#phase = `Computing features: ${count(event.done)} of ${count(event.total)}`;
        break;
      case "step":
        this.#step = event;
        this.#addPoint(event);
        this.#phase = `Epoch ${event.epoch} of ${event.epochs}, ${percent(event.batch / event.batches)}; ${duration(event.secondsLeft)} left`;
        break;
      case "validate":
        this.heldUp();
        this.#phase = `Validating: ${count(event.done)} of ${count(event.total)}`;
        break;
      case "epoch":
        this.heldUp();
        this.#epochs.push(event);
        this.version++;
        break;
      case "end":
        this.#outcome = event.interrupted ? this.#stopped(event) : this.#done(event);
        break;
    }
  }

  /** Something other than training took time. */
  heldUp(): void {
    this.#from = undefined;
  }

  /** The training ended with an error. */
  fail(error: unknown): void {
    const message = oneLine(error instanceof Error ? error.message : String(error));
    const next = this.#start && this.#epochs.length > 0 ? { next: resumption(this.#start.run) } : {};
    this.#outcome = { kind: "failed", words: `Failed: ${message}`, ...next };
  }

  /** A resumed run has a history. */
  #begin(start: StartRecord): void {
    this.#start = start;
    const history = readHistory(new Run(start.run));
    this.#epochs = [...history.epochs];
    this.#points = [...curvesOf(history, start).steps];
    this.version++;
  }

  #addPoint(event: StepEvent): void {
    const now = this.#now();
    if (now - this.#pointAt < this.#pointMs) return;
    this.#pointAt = now;
    const { epoch, batch, batches, loss, top1 } = event;
    this.#imagesPerSecond = this.#speed(event, now);
    this.#points.push({ at: epoch - 1 + batch / batches, loss, top1, imagesPerSecond: this.#imagesPerSecond });
    if (this.#points.length > MAX_POINTS) {
      this.#points = this.#points.filter((_, i) => i % 2 === 1);
      this.#pointMs *= 2;
    }
    this.version++;
  }

  /** Images a second since the last point; of the whole epoch so far where that says nothing. */
  #speed({ batch, batches, imagesPerSecond }: StepEvent, now: number): number {
    const { train = 0, epochImages = train } = this.#start ?? {};
    const from = this.#from;
    const images = (epochImages * batch) / batches;
    this.#from = { images, at: now };
    if (!from || images <= from.images || now <= from.at) return imagesPerSecond;
    return (1000 * (images - from.images)) / (now - from.at);
  }

  curves(): Curves {
    return { epochs: this.#epochs, steps: this.#points, classes: this.#start?.classes ?? Infinity };
  }

  /** Everything but curves and pictures. */
  summary(paused: boolean, stopping: boolean) {
    const [start, step, outcome] = [this.#start, this.#step, this.#outcome];
    const done = step ? (step.epoch - 1 + step.batch / step.batches) / step.epochs : 0;
    const phase = stopping ? "Stopping after this step" : paused ? `Paused. ${this.#phase}` : this.#phase;
    return {
      title: start ? basename(start.run) : "Training",
      tab: this.#tab(paused),
      subtitle: start ? [start.network, start.data, start.device].join(" · ") : "",
      phase: outcome ? "" : phase,
      done: outcome?.kind === "done" ? 1 : done,
      paused,
      running: start !== undefined && !outcome && !stopping,
      tiles: this.#tiles(),
      ...(outcome && { outcome }),
      // In case the program dies.
      ...(start && { saved: { folder: here(start.run), next: resumption(start.run) } }),
    };
  }

  /** The title of the browser's tab: "epoch 3 of 20 · 81% · NAME". */
  #tab(paused: boolean): string {
    const [step, last, outcome] = [this.#step, this.#epochs.at(-1), this.#outcome];
    const accuracy = outcome?.kind === "done" ? bestOf(this.#epochs) : last;
    return [
      outcome?.kind ?? (paused ? "paused" : ""),
      step && !outcome && `epoch ${step.epoch} of ${step.epochs}`,
      accuracy && `${Math.round(100 * (1 - accuracy.val.top1))}%`,
      this.#start ? basename(this.#start.run) : "Training",
    ]
      .filter(Boolean)
      .join(" · ");
  }

  #done({ run, samples, bestError, validated }: EndEvent): Outcome {
    const best = bestOf(this.#epochs);
    const reached =
      bestError === undefined || validated === undefined || !best
        ? "Done."
        : `Done: ${percent(1 - bestError)} of the ${plural(validated, "validation image")} are classified correctly, ${after(best)}.`;
    const words = `${reached} Saved in ${here(run)}; curves and examples of answers are in ${here(join(run, "report.html"))}.`;
    return {
      kind: "done",
      words,
      next: { words: "Try it on an image:", command: predictCommand(here(run), samples && here(samples)) },
    };
  }

  #stopped({ run }: EndEvent): Outcome {
    const [step, best] = [this.#step, bestOf(this.#epochs)];
    const where = step ? `Stopped in epoch ${step.epoch} of ${step.epochs}` : "Stopped before the first step";
    const reached = best
      ? `; ${percent(1 - best.val.top1)} of the validation images are classified correctly, ${after(best)}`
      : "";
    return { kind: "stopped", words: `${where}${reached}. Saved in ${here(run)}.`, next: resumption(run) };
  }

  #tiles() {
    const [step, last, best] = [this.#step, this.#epochs.at(-1), bestOf(this.#epochs)];
    const tile = (name: string, value: string, note: string) => ({ name, value, note });
    const tiles = [];
    if (last && best) {
      tiles.push(
        tile("Validation accuracy", percent(1 - last.val.top1), after(last)),
        tile("Best so far", percent(1 - best.val.top1), after(best)),
      );
    }
    if (step) {
      const within = `epoch ${step.epoch} so far`;
      const speed = this.#imagesPerSecond;
      tiles.push(
        tile("Training accuracy", percent(1 - step.top1), within),
        tile("Training loss", step.loss.toFixed(3), within),
        tile("Images a second", speed >= 100 ? count(Math.round(speed)) : speed.toFixed(1), "at the moment"),
      );
    }
    return tiles;
  }
}

function bestOf(epochs: readonly EpochRecord[]): EpochRecord | undefined {
  return epochs.reduce<EpochRecord | undefined>(
    (best, epoch) => (best && best.val.top1 <= epoch.val.top1 ? best : epoch),
    undefined,
  );
}

/** Epoch 0 is a new last layer, before the first step. */
function after({ epoch }: EpochRecord): string {
  return epoch === 0 ? "with the new last layer alone" : `after epoch ${epoch}`;
}

function resumption(run: string): NextStep {
  return { words: "Go on with:", command: resumeCommand(here(run)) };
}
