/** Redraws a run's report as it trains. */
import { oneLine } from "../../errors.ts";
import type { Run } from "../../runs/runs.ts";
import type { Report } from "../../training/events.ts";
import type { Session, Watcher } from "../../training/session.ts";
import { imagesOfSession, type ReportImages } from "./answers.ts";
import { writeReport } from "./report.ts";

/** Maximum share of the training time spent drawing. */
const SHARE = 0.01;
/** Assumed cost of the first drawing, most of it loading the chart library. */
const FIRST_MS = 500;

/** Redraws the report at the end, and after epochs whenever that is cheap enough. */
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

  /** Shows answers too. Loads the best weights into the session's model, which is no longer needed. */
  async end(session: Session): Promise<void> {
    const images = await imagesOfSession(session).catch((error: unknown) => {
      this.#warn("the report is without answers", error);
    });
    await this.#draw(images ?? undefined);
  }

  async #draw(images?: ReportImages): Promise<void> {
    const start = performance.now();
    try {
      await writeReport(this.#run, images);
    } catch (error) {
      this.#warn("the report could not be drawn", error);
    }
    this.#drawnAt = performance.now();
    this.#costMs = this.#drawnAt - start;
  }

  /** A failure is a warning: it must not end the training. */
  #warn(what: string, error: unknown): void {
    const line = `${what}: ${oneLine(error instanceof Error ? error.message : String(error))}`;
    this.#report({ type: "warning", line });
  }
}
