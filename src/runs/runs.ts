/**
 * A run is a folder: config.json, images.jsonl.gz, start.json, log.jsonl, last.safetensors and the one before it, best.safetensors, and
 * report.html, which shows what is in the others. Whatever moment it is killed at, it can be resumed and used.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AlexNetError, CheckpointError, oneLine, UsageError } from "../errors.ts";
import { appendToFile, readPlainFile, reason, replaceFile, requirePlainFolder } from "../io/files.ts";
import type { StartRecord } from "./records.ts";
import { type TrainConfig, parseConfig } from "./settings.ts";

/** Where runs are kept unless told otherwise. */
export const RUNS = "runs";

/** No JSON and no log that this program writes is larger: a line has some 200 bytes, and there is one every 50 steps. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;

/** A text file of a run. @throws as `readPlainFile` */
function readText(path: string): string {
  return readPlainFile(path, MAX_TEXT_BYTES).toString("utf8");
}

export interface Confusion {
  readonly epoch: number;
  readonly classes: readonly string[];
  /** [true class, predicted class, how many images]. */
  readonly entries: readonly (readonly [label: number, predicted: number, images: number])[];
}

export class Run {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  get name(): string {
    return basename(this.path);
  }

  /** The state after the last complete save. */
  get last(): string {
    return join(this.path, "last.safetensors");
  }

  /** What the save before it was: used where that is damaged. */
  get previous(): string {
    return join(this.path, "last.previous.safetensors");
  }

  /** The weights with the lowest validation error. */
  get best(): string {
    return join(this.path, "best.safetensors");
  }

  get #config(): string {
    return join(this.path, "config.json");
  }

  /** A line for each epoch, and for some of the steps. */
  get logFile(): string {
    return join(this.path, "log.jsonl");
  }

  /** What the training said when it began, or went on, the last time. */
  get startFile(): string {
    return join(this.path, "start.json");
  }

  /** The images that it began with (src/data/inventory.ts), compressed. */
  get imagesFile(): string {
    return join(this.path, "images.jsonl.gz");
  }

  /** What was taken for what in the validation of the best epoch. */
  get confusionFile(): string {
    return join(this.path, "confusion.json");
  }

  /** All of it as a page. */
  get reportFile(): string {
    return join(this.path, "report.html");
  }

  /** Writes config.json, which makes this the newest run. @throws AlexNetError when the folder can't be written to. */
  async writeConfig(config: TrainConfig): Promise<void> {
    await writeJson(this.#config, config);
    makeNewest(this.path);
  }

  /** Writes images.jsonl.gz. @throws AlexNetError when the folder can't be written to. */
  async writeImages(bytes: Uint8Array): Promise<void> {
    await replaceFile(this.imagesFile, (append) => append(bytes));
  }

  /** Writes start.json. @throws AlexNetError when the folder can't be written to. */
  async writeStart(start: StartRecord): Promise<void> {
    await writeJson(this.startFile, start);
  }

  /** @throws CheckpointError when there is none, or it is damaged. */
  readConfig(): TrainConfig {
    try {
      return parseConfig(JSON.parse(readText(this.#config)));
    } catch (error) {
      const problem = oneLine(reason(error));
      throw new CheckpointError(`${this.path} is not a run that can be used: config.json: ${problem}`, {
        cause: error,
      });
    }
  }

  /** What start.json says; undefined when there is none, as in a run whose first step was never done, or it is damaged. */
  readStart(): StartRecord | undefined {
    try {
      const start = JSON.parse(readText(this.startFile)) as Partial<StartRecord> | null;
      const counts = [start?.parameters, start?.train, start?.val, start?.classes, start?.batch, start?.epochs];
      const words = [start?.network, start?.device, start?.data];
      const whole = counts.every(Number.isFinite) && words.every((word) => typeof word === "string");
      return whole ? (start as StartRecord) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Writes confusion.json. @throws AlexNetError when the folder can't be written to. */
  async writeConfusion(confusion: Confusion): Promise<void> {
    await replaceFile(this.confusionFile, (append) =>
      append(new TextEncoder().encode(`${JSON.stringify(confusion)}\n`)),
    );
  }

  /** What confusion.json says; undefined when there is none, or it is damaged. */
  readConfusion(): Confusion | undefined {
    try {
      const confusion = JSON.parse(readText(this.confusionFile)) as Partial<Confusion> | null;
      const { epoch, classes, entries } = confusion ?? {};
      const isClass = (k: unknown) => Number.isInteger(k) && classes!.length > (k as number) && (k as number) >= 0;
      const whole =
        Number.isInteger(epoch) &&
        classes!.every((name) => typeof name === "string") &&
        entries!.every(([label, predicted, images]) => isClass(label) && isClass(predicted) && images > 0);
      return whole ? (confusion as Confusion) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Adds a line to log.jsonl. */
  log(entry: unknown): void {
    try {
      appendToFile(this.logFile, `${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw new AlexNetError(`can't write ${this.logFile}: ${reason(error)}`, { cause: error });
    }
  }

  /** The save before the last takes the last one's place, which is damaged. @throws AlexNetError when it can't */
  putBack(): void {
    try {
      renameSync(this.previous, this.last);
    } catch (error) {
      throw new AlexNetError(`can't rename ${this.previous} to ${this.last}: ${reason(error)}`, { cause: error });
    }
  }

  /** What log.jsonl says; nothing before its first line. @throws AlexNetError when it can't be read */
  readLog(): string {
    if (!existsSync(this.logFile)) return "";
    try {
      return readText(this.logFile);
    } catch (error) {
      throw new AlexNetError(`can't read ${this.logFile}: ${reason(error)}`, { cause: error });
    }
  }

  /**
   * Makes the folder what it was when so many steps and epochs were done: forgets what was logged after it, and files
   * that were being written.
   */
  async rewind({ step, epoch }: { readonly step: number; readonly epoch: number }): Promise<void> {
    for (const file of readdirSync(this.path)) {
      if (file.endsWith(".tmp")) rmSync(join(this.path, file), { force: true });
    }
    if (!existsSync(this.logFile)) return;
    const kept = this.readLog()
      .split("\n")
      .filter((line) => isBefore(line, step, epoch));
    const text = kept.map((line) => `${line}\n`).join("");
    await replaceFile(this.logFile, (append) => append(new TextEncoder().encode(text)));
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await replaceFile(path, (append) => append(new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`)));
}

/**
 * Whether a log line is of work that was done; a line that a kill cut short is not. After the last step of an epoch its
 * validation may still be missing.
 */
function isBefore(line: string, step: number, epoch: number): boolean {
  try {
    const entry = JSON.parse(line) as { step?: unknown; epoch?: unknown; val?: unknown };
    return Number(entry.step) <= step && (entry.val === undefined || Number(entry.epoch) <= epoch);
  } catch {
    return false;
  }
}

/** A new folder runs/PREFIX-1, -2, … @throws AlexNetError when it can't be made. */
export function newRun(prefix: string, folder = RUNS): Run {
  for (let number = 1; ; number++) {
    const path = join(folder, `${prefix}-${number}`);
    try {
      mkdirSync(folder, { recursive: true });
      // Fails if it is there: two trainings that start at once get two folders.
      mkdirSync(path);
      return new Run(path);
    } catch (error) {
      if ((error as { code?: string }).code === "EEXIST" && existsSync(path)) continue;
      throw new AlexNetError(`can't make the folder ${path}: ${reason(error)}: name another with --out`, {
        cause: error,
      });
    }
  }
}

/** The folder --out named. @throws UsageError when it holds a run already; AlexNetError for links and the like in it */
export function namedRun(path: string): Run {
  const run = new Run(path);
  if (["config.json", "last.safetensors", "best.safetensors"].some((file) => existsSync(join(run.path, file)))) {
    throw new UsageError(`${path} holds a run already: resume it with --resume ${path}, or name another --out`);
  }
  try {
    mkdirSync(run.path, { recursive: true });
  } catch (error) {
    throw new AlexNetError(`can't make the folder ${path}: ${reason(error)}: name another with --out`, {
      cause: error,
    });
  }
  requirePlainFolder(run.path, 1);
  return run;
}

/** A run that somebody else may have made. @throws AlexNetError when there is more in its folder than files and folders */
function openRun(path: string): Run {
  requirePlainFolder(path);
  return new Run(path);
}

/**
 * The run of a name: a path, or the name of a folder in runs/, or "latest".
 * @throws UsageError when there is none; AlexNetError when there is more in its folder than files and folders
 */
export function findRun(name: string, file: "config.json" | "best.safetensors" = "config.json"): Run {
  if (name !== "latest") {
    const path = [name, join(RUNS, name)].find((candidate) => existsSync(join(candidate, file)));
    if (path) return openRun(path);
    const begun = [name, join(RUNS, name)].find((candidate) => existsSync(join(candidate, "config.json")));
    throw new UsageError(
      begun
        ? `${begun} has no ${file} yet: its first epoch is not done; go on with --resume ${begun}`
        : `no run in ${name}: there is no ${join(name, file)}`,
    );
  }
  const newest = newestRun(file);
  if (newest) return openRun(newest.path);
  throw new UsageError(`there is no run with a ${file} in ${resolve(RUNS)} yet: train one with \`bun run train\``);
}

/** The run in runs/ whose file of this name is the newest. */
export function newestRun(file: string): Run | undefined {
  const newest = newestIn(RUNS, (path) => existsSync(join(path, file)));
  return newest && new Run(newest.path);
}

interface Dated {
  readonly path: string;
  /** When its training was begun or resumed the last time, or it was imported. */
  readonly time: number;
}

/** The newest of the runs in a folder that are to be looked at. */
function newestIn(folder: string, isWanted: (path: string) => boolean): Dated | undefined {
  const paths = existsSync(folder) ? readdirSync(folder).map((entry) => join(folder, entry)) : [];
  const dated = paths.filter(isWanted).map((path) => ({ path, time: dateOf(path)?.mtimeMs ?? 0 }));
  return dated.sort((a, b) => b.time - a.time)[0];
}

/** What was imported has no config.json. */
function dateOf(run: string) {
  const [config, best] = ["config.json", "best.safetensors"].map((file) => join(run, file)) as [string, string];
  return statSync(config, { throwIfNoEntry: false }) ?? statSync(best, { throwIfNoEntry: false });
}

/** FAT keeps times in steps of two seconds. */
const LATER_MS = 2000;

/** Dates a run after all others in runs/, also where the clock was set back since they were made. */
function makeNewest(run: string): void {
  if (dirname(run) !== resolve(RUNS)) return;
  const own = dateOf(run)!.mtimeMs;
  const other = newestIn(RUNS, (path) => resolve(path) !== run);
  if (!other || other.time < own) return;
  const time = (other.time + LATER_MS) / 1000;
  utimesSync(join(run, "config.json"), time, time);
}
