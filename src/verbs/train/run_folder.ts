/** The folder of a training's run. */
import { lockFolder, type Lock } from "../../io/lock.ts";
import { namedRun, newRun, type Run } from "../../runs/runs.ts";

/** A run's folder, locked for this training as soon as it is known. */
export class RunFolder {
  run: Run | undefined;
  readonly warn: (line: string) => void;
  readonly #out: string | undefined;
  #lock: Lock | undefined;

  constructor(out: string | undefined, warn: (line: string) => void) {
    this.#out = out;
    this.warn = warn;
  }

  /** Locks a run. @throws LockedError when another process uses it */
  take(run: Run): Run {
    this.#lock = lockFolder(run.path, this.warn);
    return (this.run = run);
  }

  /**
   * Creates and locks the run of a new training, in the folder of --out or a new one.
   * @throws as `take`; UsageError, AlexNetError
   */
  begin(network: string): Run {
    return this.take(this.#out === undefined ? newRun(network) : namedRun(this.#out));
  }

  [Symbol.dispose](): void {
    this.#lock?.release();
  }
}
