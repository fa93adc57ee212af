import { oneLine } from "../../errors.ts";
import type { Run } from "../../runs/runs.ts";
import type { Report } from "../../training/events.ts";
import type { Watcher } from "../../training/session.ts";
import { writeReport } from "./report.ts";

/** Drawing may take this share of a training's time. */
const SHARE = 0.01;
/** What the first drawing is taken to cost: most of that is loading the chart library. */
const FIRST_MS = 500;

/** Keeps a run's report up to date: after epochs, when that costs next to nothing, and at the end. */
export class Reporter implements Watcher {
  readonly #run: Run;
  readonly #report: Report;
  #costMs = FIRST_MS;
  #drawnAt = performance.now();

  constructor(run: Run, report: Report) {
    this.#run = run;
    this.#report = report;
  }

  async afterEpoch(): Promise<void> {
    if (this.#costMs < SHARE * (performance.now() - this.#drawnAt)) await this.#draw();
  }

  async end(): Promise<void> {
    await this.#draw();
  }

  /** A picture that fails ends no training. */
  async #draw(): Promise<void> {
    const start = performance.now();
    try {
      await writeReport(this.#run);
    } catch (error) {
      const line = `the report could not be drawn: ${oneLine(error instanceof Error ? error.message : String(error))}`;
      this.#report({ type: "warning", line });
    }
    this.#drawnAt = performance.now();
    this.#costMs = this.#drawnAt - start;
  }
}
