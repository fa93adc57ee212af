/** Folders with small photos made on the spot, and the commands as a person runs them: processes of their own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Transformer } from "@napi-rs/image";
import { drawFigure } from "../../src/data/shapes.ts";
import { Purpose, Random } from "../../src/random.ts";

export const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** A folder that `remove` deletes again. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "alexnet-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A PNG of figure `label` of the built-in set, 32 × 32. */
export function figurePng(label: number, number: number): Uint8Array {
  const side = 32;
  const rgb = drawFigure(label, side, new Random(1, Purpose.drawing, 9, 1000 * label + number));
  const rgba = new Uint8Array(4 * side * side).fill(255);
  for (let i = 0; i < side * side; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return Transformer.fromRgbaPixels(rgba, side, side).pngSync();
}

/** `classes` class folders c0, c1, … with `each` images of 32 × 32. */
export async function makePhotos(folder: string, classes: number, each: number): Promise<string> {
  for (let label = 0; label < classes; label++) {
    const own = join(folder, `c${label}`);
    await mkdir(own, { recursive: true });
    for (let i = 0; i < each; i++) {
      await writeFile(join(own, `${String(i).padStart(3, "0")}.png`), figurePng(label, i));
    }
  }
  return folder;
}

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

export interface Ended {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
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
  const child = startCli(args, options);
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { code: child.exitCode, stdout, stderr };
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
