/** The state of a training as the dashboard shows it, from the events so far. */
import { basename } from "node:path";
import type { Curves, StepPoint } from "../../../pictures/charts.ts";
import { curvesOf, readHistory } from "../../../runs/history.ts";
import type { EpochRecord, StartRecord } from "../../../runs/records.ts";
import { Run } from "../../../runs/runs.ts";
import type { TrainEvent } from "../../../training/events.ts";
import { count, duration, percent } from "../../../words.ts";

type StepEvent = Extract<TrainEvent, { type: "step" }>;

/** Interval between points of a curve. Beyond MAX_POINTS every other point is dropped, and the interval doubles. */
const POINT_MS = 500;
const MAX_POINTS = 1000;

export class DashboardState {
  #start: StartRecord | undefined;
  #step: StepEvent | undefined;
  #phase = "Getting ready";
  #ended = false;
  #epochs: EpochRecord[] = [];
  #points: StepPoint[] = [];
  #pointMs = POINT_MS;
  #pointAt = -Infinity;
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
      case "step":
        this.#step = event;
        this.#addPoint(event);
        this.#phase = `Epoch ${event.epoch} of ${event.epochs}, ${percent(event.batch / event.batches)}; ${duration(event.secondsLeft)} left`;
        break;
      case "validate":
        this.#phase = `Validating: ${count(event.done)} of ${count(event.total)}`;
        break;
      case "epoch":
        this.#epochs.push(event);
        this.version++;
        break;
      case "end":
        this.#ended = true;
        this.#phase = event.interrupted ? "Stopped and saved" : "Done";
        break;
    }
  }

  /** A resumed run has a history. */
  #begin(start: StartRecord): void {
    this.#start = start;
    const history = readHistory(new Run(start.run));
    this.#epochs = [...history.epochs];
    this.#points = [...curvesOf(history, start).steps];
    this.version++;
  }

  #addPoint({ epoch, batch, batches, loss, top1, imagesPerSecond }: StepEvent): void {
    const now = this.#now();
    if (now - this.#pointAt < this.#pointMs) return;
    this.#pointAt = now;
    this.#points.push({ at: epoch - 1 + batch / batches, loss, top1, imagesPerSecond });
    if (this.#points.length > MAX_POINTS) {
      this.#points = this.#points.filter((_, i) => i % 2 === 1);
      this.#pointMs *= 2;
    }
    this.version++;
  }

  curves(): Curves {
    return { epochs: this.#epochs, steps: this.#points, classes: this.#start?.classes ?? Infinity };
  }

  /** Everything but curves and pictures. */
  summary(paused: boolean, stopping: boolean) {
    const [start, step] = [this.#start, this.#step];
    const left = step && (step.epoch - 1 + step.batch / step.batches) / step.epochs;
    const phase = stopping ? "Stopping after this step" : paused ? `Paused. ${this.#phase}` : this.#phase;
    return {
      title: start ? basename(start.run) : "Training",
      subtitle: start ? [start.network, start.data, start.device].join(" · ") : "",
      phase: this.#ended ? this.#phase : phase,
      done: this.#ended && !stopping ? 1 : (left ?? 0),
      paused,
      running: start !== undefined && !this.#ended && !stopping,
      tiles: this.#tiles(),
    };
  }

  #tiles() {
    const [step, last] = [this.#step, this.#epochs.at(-1)];
    const tile = (name: string, value: string, note: string) => ({ name, value, note });
    const tiles = [];
    if (last) {
      const best = this.#epochs.reduce((least, epoch) => (epoch.val.top1 < least.val.top1 ? epoch : least));
      tiles.push(
        tile("Validation error", percent(last.val.top1), `in epoch ${last.epoch}`),
        tile("Best so far", percent(best.val.top1), `in epoch ${best.epoch}`),
      );
    }
    if (step) {
      const within = `epoch ${step.epoch} so far`;
      tiles.push(
        tile("Training error", percent(step.top1), within),
        tile("Training loss", step.loss.toFixed(3), within),
        tile("Images a second", count(Math.round(step.imagesPerSecond)), within),
      );
    }
    return tiles;
  }
}
