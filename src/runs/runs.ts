/**
 * A run is a folder: config.json, images.jsonl.gz, start.json, log.jsonl, last.safetensors and the save before it,
 * best.safetensors, confusion.json, and report.html, which shows the others. Killed at any moment, it can still be
 * resumed and used.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AlexNetError, CheckpointError, oneLine, UsageError } from "../errors.ts";
import { appendToFile, readPlainFile, reason, replaceFile, requirePlainFolder } from "../io/files.ts";
import { option, setting } from "../option_names.ts";
import { command } from "../program.ts";
import type { StartRecord } from "./records.ts";
import { type TrainConfig, parseConfig } from "./settings.ts";

/** Where runs are kept unless told otherwise. */
export const RUNS = "runs";

/** Far above any log that this program writes: some 200 bytes for every 50 steps. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;

/** How many examples of answers are kept. */
export const MAX_EXAMPLES = 12;

/** A text file of a run. @throws as `readPlainFile` */
function readText(path: string): string {
  return readPlainFile(path, MAX_TEXT_BYTES).toString("utf8");
}

export interface Confusion {
  readonly epoch: number;
  readonly classes: readonly string[];
  /** [true class, predicted class, how many images]. */
  readonly entries: readonly (readonly [label: number, predicted: number, images: number])[];
  /** Images to show: the most confident mistakes first, then right answers. Versions before kept none. */
  readonly examples?: readonly Example[];
}

/** A validation image, and the model's answer. */
export interface Example {
  /** Its name within the set. */
  readonly image: string;
  readonly label: number;
  readonly predicted: number;
  readonly probability: number;
}

export class Run {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  get name(): string {
    return basename(this.path);
  }

  /** The last complete save. */
  get last(): string {
    return join(this.path, "last.safetensors");
  }

  /** The save before it, used if the last is damaged. */
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

  /** A line for each epoch and for every 50th step. */
  get logFile(): string {
    return join(this.path, "log.jsonl");
  }

  /** What the training reported when it was last begun or resumed. */
  get startFile(): string {
    return join(this.path, "start.json");
  }

  /** The images that it began with (src/data/inventory.ts), compressed. */
  get imagesFile(): string {
    return join(this.path, "images.jsonl.gz");
  }

  /** The confusion matrix of the best epoch's validation, and examples of its answers. */
  get confusionFile(): string {
    return join(this.path, "confusion.json");
  }

  /** The whole run as a page. */
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

  /** @throws CheckpointError when config.json is missing or damaged */
  readConfig(): TrainConfig {
    try {
      return parseConfig(JSON.parse(readText(this.#config)));
    } catch (error) {
      const problem = oneLine(reason(error));
      throw new CheckpointError(`${this.path} is not a usable run: config.json: ${problem}`, {
        cause: error,
      });
    }
  }

  /** The contents of start.json; undefined if it is damaged or missing, as it is before the first step. */
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
    await writeText(this.confusionFile, `${JSON.stringify(confusion)}\n`);
  }

  /** The contents of confusion.json; undefined if it is missing or damaged. */
  readConfusion(): Confusion | undefined {
    try {
      const confusion = JSON.parse(readText(this.confusionFile)) as Partial<Confusion> | null;
      const { epoch, classes, entries, examples = [] } = confusion ?? {};
      const isClass = (k: unknown) => Number.isInteger(k) && classes!.length > (k as number) && (k as number) >= 0;
      const whole =
        Number.isInteger(epoch) &&
        classes!.every((name) => typeof name === "string") &&
        entries!.every(([label, predicted, images]) => isClass(label) && isClass(predicted) && images > 0) &&
        examples.length <= MAX_EXAMPLES &&
        examples.every(({ image, label, predicted, probability }) => {
          return typeof image === "string" && isClass(label) && isClass(predicted) && Number.isFinite(probability);
        });
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

  /** Replaces the last save, which is damaged, by the one before it. @throws AlexNetError when it can't be renamed */
  putBack(): void {
    try {
      renameSync(this.previous, this.last);
    } catch (error) {
      throw new AlexNetError(`can't rename ${this.previous} to ${this.last}: ${reason(error)}`, { cause: error });
    }
  }

  /** The contents of log.jsonl, "" if there is none yet. @throws AlexNetError when it can't be read */
  readLog(): string {
    if (!existsSync(this.logFile)) return "";
    try {
      return readText(this.logFile);
    } catch (error) {
      throw new AlexNetError(`can't read ${this.logFile}: ${reason(error)}`, { cause: error });
    }
  }

  /**
   * Takes the folder back to the end of a step and an epoch: removes later lines from the log, and files that were
   * being written.
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
    await writeText(this.logFile, text);
  }
}

/** @throws AlexNetError when it can't be written */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeText(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** The contents of a file of a run that may be a stranger's; undefined if it is missing or damaged. */
export function readJson<T>(path: string, isWhole: (value: unknown) => value is T): T | undefined {
  try {
    const value: unknown = JSON.parse(readText(path));
    return isWhole(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

async function writeText(path: string, text: string): Promise<void> {
  await replaceFile(path, (append) => append(new TextEncoder().encode(text)));
}

/**
 * Whether a log line belongs to finished work; one cut short by a kill does not. After the last step of an epoch, its
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

/** Creates the next free folder of runs/PREFIX-1, -2, … @throws AlexNetError when it can't be created */
export function newRun(prefix: string, folder = RUNS): Run {
  for (let number = 1; ; number++) {
    const path = join(folder, `${prefix}-${number}`);
    try {
      mkdirSync(folder, { recursive: true });
      // Fails if it exists, so that two trainings that start at once get different folders.
      mkdirSync(path);
      return new Run(path);
    } catch (error) {
      if ((error as { code?: string }).code === "EEXIST" && existsSync(path)) continue;
      throw new AlexNetError(`can't make the folder ${path}: ${reason(error)}: name another with ${option("out")}`, {
        cause: error,
      });
    }
  }
}

/** The folder of --out. @throws UsageError when it already holds a run; AlexNetError for links and the like in it */
export function namedRun(path: string): Run {
  const run = new Run(path);
  if (["config.json", "last.safetensors", "best.safetensors"].some((file) => existsSync(join(run.path, file)))) {
    throw new UsageError(
      `${path} already holds a run: resume it with ${setting("resume", path)}, or name another ${option("out")}`,
    );
  }
  try {
    mkdirSync(run.path, { recursive: true });
  } catch (error) {
    throw new AlexNetError(`can't make the folder ${path}: ${reason(error)}: name another with ${option("out")}`, {
      cause: error,
    });
  }
  requirePlainFolder(run.path, 1);
  return run;
}

/** A run that may be a stranger's. @throws AlexNetError when its folder holds anything but files and folders */
function openRun(path: string): Run {
  requirePlainFolder(path);
  return new Run(path);
}

/**
 * Finds a run by its path, its name in runs/, or "latest".
 * @param file what the run must have
 * @throws UsageError when there is none; AlexNetError when its folder holds anything but files and folders
 */
export function findRun(name: string, file: "config.json" | "best.safetensors" = "config.json"): Run {
  if (name !== "latest") {
    const path = [name, join(RUNS, name)].find((candidate) => existsSync(join(candidate, file)));
    if (path) return openRun(path);
    const begun = [name, join(RUNS, name)].find((candidate) => existsSync(join(candidate, "config.json")));
    throw new UsageError(
      begun
        ? `${begun} has no ${file} yet: its first epoch is not finished; continue it with ${setting("resume", begun)}`
        : `no run in ${name}: ${join(name, file)} does not exist`,
    );
  }
  const newest = newestRun(file);
  if (newest) return openRun(newest.path);
  throw new UsageError(`no run in ${resolve(RUNS)} has a ${file} yet: train one with \`${command("train")}\``);
}

/** The newest of the runs in runs/ that have this file. */
export function newestRun(file: string): Run | undefined {
  const newest = newestIn(RUNS, (path) => existsSync(join(path, file)));
  return newest && new Run(newest.path);
}

interface Dated {
  readonly path: string;
  /** When it was last begun or resumed, or was imported. */
  readonly time: number;
}

/** The newest of the runs in a folder that are wanted. */
function newestIn(folder: string, isWanted: (path: string) => boolean): Dated | undefined {
  const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory();
  const paths = isFolder ? readdirSync(folder).map((entry) => join(folder, entry)) : [];
  const dated = paths.filter(isWanted).map((path) => ({ path, time: dateOf(path)?.mtimeMs ?? 0 }));
  return dated.sort((a, b) => b.time - a.time)[0];
}

/** The dated file of a run: config.json, or best.safetensors in imported ones, which have no config.json. */
function dateOf(run: string) {
  const [config, best] = ["config.json", "best.safetensors"].map((file) => join(run, file)) as [string, string];
  return statSync(config, { throwIfNoEntry: false }) ?? statSync(best, { throwIfNoEntry: false });
}

/** FAT's times have a resolution of two seconds. */
const LATER_MS = 2000;

/** Dates a run after all others in runs/, even if the clock has been set back since. */
function makeNewest(run: string): void {
  if (dirname(run) !== resolve(RUNS)) return;
  const own = dateOf(run)!.mtimeMs;
  const other = newestIn(RUNS, (path) => resolve(path) !== run);
  if (!other || other.time < own) return;
  const time = (other.time + LATER_MS) / 1000;
  utimesSync(join(run, "config.json"), time, time);
}
