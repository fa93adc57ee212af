/** What the tests of faults share: comparing with an undisturbed run, and expecting one line of error. */
import { spawnSync } from "node:child_process";
import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { epochsOf, jsonLines, startCli } from "./cli.ts";
import type { Ended } from "./processes.ts";

/** Expects exit code 1 and, after `warnings` other lines, one line of error that matches. */
export function expectOneLine({ code, stderr }: Ended, message: RegExp, warnings = 0): void {
  const lines = stderr.split("\n").filter((line) => line !== "");
  expect(lines.length, stderr).toBe(1 + warnings);
  expect(lines.at(-1)).toMatch(message);
  expect(lines.at(-1)).toStartWith("error: ");
  expect(stderr).not.toMatch(/\n\s+at |bug in this program/);
  expect(code).toBe(1);
}

/** The same weights, bit for bit, and the same log, as far as it does not depend on the time. */
export function expectSameRun(actual: string, expected: string): void {
  for (const file of ["last.safetensors", "last.previous.safetensors", "best.safetensors"]) {
    const [a, b] = [actual, expected].map((run) => readFileSync(join(run, file)));
    expect(a!.equals(b!), `${file} of ${actual}`).toBe(true);
  }
  expect(epochsOf(actual)).toEqual(epochsOf(expected));
}

/** Starts a command with --json; `act` is told of each event until it has done something and returns true. */
export async function during(
  args: readonly string[],
  cwd: string,
  act: (event: Record<string, any>, child: ReturnType<typeof startCli>) => boolean,
): Promise<Ended> {
  const child = startCli([...args, "--json"], { cwd });
  const errors = new Response(child.stderr).text();
  let [text, seen, done] = ["", 0, false];
  for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
    text += new TextDecoder().decode(chunk);
    const end = text.lastIndexOf("\n") + 1;
    for (const event of jsonLines(text.slice(seen, end))) done ||= act(event, child);
    seen = end;
  }
  await child.exited;
  expect(done, "the fault was never made").toBe(true);
  return { code: child.exitCode, stdout: text, stderr: await errors };
}

/** Whether disks can be mounted here: for root on Linux, and not in every container. */
export function canMount(folder: string): boolean {
  if (process.platform !== "linux" || !mount(["-t", "tmpfs", "-o", "size=64k", "none", folder])) return false;
  return unmount(folder);
}

export function mount(args: readonly string[]): boolean {
  return spawnSync("mount", args).status === 0;
}

/** Also where a process still has a file open there. */
export function unmount(folder: string): boolean {
  return !existsSync(folder) || spawnSync("umount", ["-l", folder]).status === 0;
}
