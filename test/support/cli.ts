/** The commands as a person runs them, processes of their own; small trainings, and what they leave. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endOf, type Ended } from "./processes.ts";

export const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** What every training here is given, so that it is small and the same everywhere. */
export const TINY = [
  "--model",
  "relu-or-tanh",
  "--batch",
  "16",
  "--rate",
  "0.0001",
  "--device",
  "cpu",
  "--threads",
  "1",
];
/** The same for `train()`. */
export const tiny = { model: "relu-or-tanh", batch: 16, rate: 0.0001, device: "cpu", threads: 1 } as const;

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
}

/** Starts a command in a folder of its own, as `bun src/main.ts …` does. */
export function startCli(args: readonly string[], { cwd, env = {}, stdin }: CliOptions) {
  return Bun.spawn([process.execPath, MAIN, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdin: stdin ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs a command to its end. */
export async function cli(args: readonly string[], options: CliOptions): Promise<Ended> {
  return endOf(startCli(args, options));
}

/** Runs a command at a terminal of 60 columns, and returns all that was written to it. */
export async function cliAtTerminal(args: readonly string[], { cwd, env = {} }: CliOptions): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd,
    env: { ...process.env, TERM: "xterm-256color", ...env },
    terminal: { cols: 60, rows: 20, data: (_, bytes) => void (text += decoder.decode(bytes, { stream: true })) },
  });
  await child.exited;
  child.terminal?.close();
  return text;
}

/** The JSON lines of a text. */
export function jsonLines(text: string): Record<string, any>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** log.jsonl's records of whole epochs, without what depends on the clock. */
export function epochsOf(run: string): Record<string, unknown>[] {
  return jsonLines(readFileSync(join(run, "log.jsonl"), "utf8"))
    .filter((entry) => "val" in entry)
    .map(({ imagesPerSecond: _, dataWait: __, seconds: ___, ...record }) => record);
}
