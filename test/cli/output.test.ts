/** Standard output that can't be written to, or whose reader has gone. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { cli, epochsOf, jsonLines, MAIN, startCli, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const CPU = ["--device", "cpu", "--threads", "1"];
const PREDICT = ["predict", "photos", "--model", "run", ...CPU];
const TRAIN = ["train", "photos", ...TINY, "--epochs", "2", "--out"];
/** Linux's device that is always full. */
const FULL = "/dev/full";

beforeAll(async () => {
  await makePhotos(join(folder.path, "photos"), 2, 20);
  const { code } = await cli(["train", "photos", ...TINY, "--epochs", "1", "--out", "run"], { cwd: folder.path });
  expect(code).toBe(0);
});

/** Runs a command whose output goes to a full disk. */
async function onFullDisk(args: readonly string[], streams: { readonly errorsToo?: boolean } = {}) {
  const full = openSync(FULL, "w");
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd: folder.path,
    stdin: "ignore",
    stdout: full,
    stderr: streams.errorsToo ? full : "pipe",
  });
  const stderr = child.stderr instanceof ReadableStream ? await new Response(child.stderr).text() : "";
  await child.exited;
  closeSync(full);
  return { code: child.exitCode, stderr };
}

describe.skipIf(!existsSync(FULL))("a full disk: one line, and exit code 1", () => {
  const commands = [
    ["models"],
    ["models", "--json"],
    ["--help"],
    ["predict", "--help"],
    PREDICT,
    [...PREDICT, "--json"],
    ["evaluate", "--model", "run", ...CPU],
    ["report", "run", "--json"],
  ];
  for (const args of commands) {
    test(args.join(" "), async () => {
      expect(await onFullDisk(args)).toEqual({
        code: 1,
        stderr: "error: can't write to standard output: the disk is full\n",
      });
    });
  }

  test("not even that line, if standard error is full too", async () => {
    expect(await onFullDisk(["models"], { errorsToo: true })).toEqual({ code: 1, stderr: "" });
  });

  test("errors of the command itself come first", async () => {
    expect((await onFullDisk(["predict", "nowhere.png", "--model", "no-such-run"], { errorsToo: true })).code).toBe(2);
  });

  test("a training goes on to its end", async () => {
    const { code, stderr } = await onFullDisk([...TRAIN, "full"]);
    expect(code).toBe(1);
    expect(stderr).toBe("error: can't write to standard output: the disk is full\n");
    expect(epochsOf(join(folder.path, "full")).length).toBe(2);
  });
});

describe("a reader that has seen enough", () => {
  /** Reads only the first chunk. */
  async function firstOf(args: readonly string[]) {
    const child = startCli(args, { cwd: folder.path });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const stderr = await new Response(child.stderr).text();
    await child.exited;
    return { code: child.exitCode, stderr, text: new TextDecoder().decode(value) };
  }

  for (const args of [["models"], ["models", "alexnet", "--json"], ["predict", "--help"], [...PREDICT, "--json"]]) {
    test(`${args.join(" ")}: no error`, async () => {
      expect(await firstOf(args)).toMatchObject({ code: 0, stderr: "" });
    });
  }

  test("a training goes on to its end", async () => {
    const { code, stderr, text } = await firstOf([...TRAIN, "unread", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(jsonLines(text.split("\n")[0]!)[0]).toMatchObject({ type: "start" });
    expect(epochsOf(join(folder.path, "unread")).length).toBe(2);
  });

  test("the exit code is the work's", async () => {
    const args = ["train", "photos", ...TINY, "--rate", "1e9", "--epochs", "2", "--out", "diverged", "--json"];
    const { code, stderr } = await firstOf(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: [^\n]*loss[^\n]*\n$/);
  });
});
