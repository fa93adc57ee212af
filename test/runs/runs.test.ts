/** Run folders: their names, which is the newest, and what is forgotten when a run goes back to what was saved. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, UsageError } from "../../src/errors.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { makeConfig } from "../../src/runs/config.ts";
import { findRun, namedRun, newestRun, newRun, Run } from "../../src/runs/runs.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
const config = makeConfig({}, findNetwork("small"), null, null);

test("new runs are numbered from 1 on; a number that is taken is passed over", () => {
  const runs = join(folder.path, "runs");
  mkdirSync(join(runs, "small-2"), { recursive: true });
  expect([1, 2, 3].map(() => newRun("small", runs).name)).toEqual(["small-1", "small-3", "small-4"]);
  expect(newRun("alexnet", runs).name).toBe("alexnet-1");
});

test("a folder that is there can be named, unless it holds a run", async () => {
  const run = namedRun(folder.path);
  expect(namedRun(folder.path).path).toBe(run.path);
  const own = namedRun(join(folder.path, "a", "b"));
  await own.writeConfig(config);
  expect(() => namedRun(own.path)).toThrow(UsageError);
  expect(own.readConfig()).toEqual(config);
  const old = join(folder.path, "old");
  mkdirSync(old);
  writeFileSync(join(old, "best.safetensors"), "of a run whose config.json is lost");
  expect(() => namedRun(old)).toThrow(UsageError);
});

test("config.json that is missing, cut short or something else", () => {
  const run = namedRun(join(folder.path, "broken"));
  expect(() => run.readConfig()).toThrow(/broken is not a usable run: config\.json: no such file or folder/);
  for (const text of ["", '{"network":', "null", "[]", '{"network": 1}', '{"network": "small"}']) {
    writeFileSync(join(run.path, "config.json"), text);
    expect(() => run.readConfig()).toThrow(CheckpointError);
  }
});

describe("the newest run", () => {
  const back = process.cwd();
  afterEach(() => process.chdir(back));

  test("is the one that was begun or resumed last, whatever the clock says", async () => {
    const own = join(folder.path, "clock");
    mkdirSync(own);
    process.chdir(own);
    const [old, young] = [newRun("small"), newRun("small")];
    await old.writeConfig(config);
    // Made when the clock was a year ahead; since then it was set right.
    const ahead = Date.now() / 1000 + 365 * 24 * 3600;
    utimesSync(join(old.path, "config.json"), ahead, ahead);
    expect(findRun("latest").path).toBe(old.path);
    await young.writeConfig(config);
    expect(findRun("latest").path).toBe(young.path);
    await old.writeConfig(config);
    expect(findRun("latest").path).toBe(old.path);
    // An imported one has no config.json.
    mkdirSync(join("runs", "imported"));
    writeFileSync(join("runs", "imported", "best.safetensors"), "");
    expect(findRun("latest", "best.safetensors").name).toBe("imported");
    expect(findRun("latest").path).toBe(old.path);
  });

  test("is missing where runs is a file", () => {
    const own = join(folder.path, "file");
    mkdirSync(own);
    process.chdir(own);
    writeFileSync("runs", "");
    expect(newestRun("config.json")).toBeUndefined();
    expect(() => findRun("latest")).toThrow(UsageError);
  });

  test("keeps its own time where the clock is right", async () => {
    const own = join(folder.path, "right");
    mkdirSync(own);
    process.chdir(own);
    const [old, young] = [newRun("small"), newRun("small")];
    await old.writeConfig(config);
    utimesSync(join(old.path, "config.json"), 1000, 1000);
    await young.writeConfig(config);
    expect(Math.abs(statSync(join(young.path, "config.json")).mtimeMs - Date.now())).toBeLessThan(60_000);
    expect(findRun("latest").path).toBe(young.path);
  });
});

describe("going back", () => {
  const step = (step: number, epoch: number) => ({ step, epoch, loss: 1 });
  const epoch = (step: number, epoch: number) => ({ step, epoch, val: { loss: 1 } });
  const lines = [step(50, 1), step(100, 1), epoch(120, 1), step(150, 2), epoch(240, 2)];

  async function after(state: { step: number; epoch: number }, log: string): Promise<unknown[]> {
    const run = new Run(folder.path);
    writeFileSync(join(run.path, "log.jsonl"), log);
    await run.rewind(state);
    const text = readFileSync(join(run.path, "log.jsonl"), "utf8");
    expect(text === "" || text.endsWith("\n")).toBe(true);
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");

  test("keeps what was logged up to the step that was saved", async () => {
    expect(await after({ step: 240, epoch: 2 }, text)).toEqual(lines);
    expect(await after({ step: 130, epoch: 1 }, text)).toEqual(lines.slice(0, 3));
    expect(await after({ step: 120, epoch: 1 }, text)).toEqual(lines.slice(0, 3));
    expect(await after({ step: 99, epoch: 0 }, text)).toEqual(lines.slice(0, 1));
    expect(await after({ step: 0, epoch: 0 }, text)).toEqual([]);
  });

  test("forgets the record of an epoch that was saved before its validation", async () => {
    expect(await after({ step: 120, epoch: 0 }, text)).toEqual(lines.slice(0, 2));
  });

  test("forgets a line that a kill cut short", async () => {
    expect(await after({ step: 240, epoch: 2 }, text.slice(0, -9))).toEqual(lines.slice(0, 4));
  });

  test("takes away files that were being written, of any process", async () => {
    writeFileSync(join(folder.path, "last.safetensors.1.tmp"), "");
    writeFileSync(join(folder.path, "config.json.999999.tmp"), "");
    await new Run(folder.path).rewind({ step: 0, epoch: 0 });
    expect(readdirSync(folder.path).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  });
});
