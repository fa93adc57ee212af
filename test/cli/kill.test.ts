/**
 * A training that is repeatedly killed at any moment ends with the same bytes as an undisturbed one.
 * `KILLS=100 bun test test/cli/kill.test.ts` is the long form.
 */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { cli, epochsOf, jsonLines, startCli, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

// Processes are slow on a busy machine.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
/** Two at each of the moments below. */
const KILLS = Number(process.env.KILLS ?? 14);
/** More than are finished between all the kills. */
const EPOCHS = 20 + KILLS;
const TIMEOUT_MS = 60_000 + 12_000 * KILLS;

/**
 * When to kill: after these events, some time after the start, and after the first byte of a checkpoint is written.
 */
const MOMENTS = ["time", "start", "step", "validate", "saved", "epoch", "saving"] as const;

/** Kills a training some milliseconds after an event on its standard output. */
async function killAfter(args: readonly string[], run: string, moment: string, count: number, ms: number) {
  const child = startCli(args, options);
  const errors = new Response(child.stderr).text();
  let text = "";
  let seen = 0;
  const kill = async (after: number) => {
    await Bun.sleep(after);
    child.kill("SIGKILL");
  };
  // A run's folder can't be watched before it exists.
  const watched = moment === "saving" && existsSync(run);
  if (moment === "time" || (moment === "saving" && !watched)) void kill(ms * 20);
  const isCheckpoint = (file: string | null) => /last\.safetensors\.[0-9a-f]+\.tmp$/.test(file ?? "");
  const watcher = watched
    ? watch(run, (_, file) => isCheckpoint(file) && ++seen === count && kill(ms / 10))
    : undefined;
  for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
    const before = text.lastIndexOf("\n") + 1;
    text += new TextDecoder().decode(chunk);
    const lines = text.slice(before, text.lastIndexOf("\n") + 1);
    const events = lines.split("\n").filter((line) => line.includes(`"type":"${moment}"`)).length;
    if (seen < count && seen + events >= count) void kill(ms);
    seen += events;
  }
  await child.exited;
  watcher?.close();
  return { text, errors: await errors, killed: child.signalCode === "SIGKILL" };
}

test(
  `SIGKILL ${KILLS} times`,
  async () => {
    // Two steps per epoch, so that much of the time is spent saving.
    await makePhotos(join(folder.path, "photos"), 2, 18);
    const train = ["train", "photos", ...TINY, "--epochs", `${EPOCHS}`, "--augment", "mirror,colour", "--json"];
    const whole = await cli([...train, "--out", "whole"], options);
    expect(whole.stderr).toBe("");
    expect(whole.code).toBe(0);

    const run = join(folder.path, "killed");
    const seed = Date.now() % 1e6;
    // Any seed will do; it is printed so that a failure can be reproduced.
    let state = seed;
    const random = () => (state = (state * 48271 + 11) % 2147483647) / 2147483647;
    const story: string[] = [];
    /** Number of kills that left a checkpoint half written. */
    let torn = 0;
    for (let kills = 0; kills < KILLS; kills++) {
      const began = existsSync(join(run, "config.json"));
      const moment = MOMENTS[kills % MOMENTS.length]!;
      // It starts once; of the other events, wait for the first or the second.
      const [count, ms] = [moment !== "start" && random() < 0.3 ? 2 : 1, 30 * random() ** 2];
      const args = began ? ["train", "--resume", "killed", "--json"] : [...train, "--out", "killed"];
      const { text, errors, killed } = await killAfter(args, run, moment, count, ms);
      const { epoch, batch } =
        jsonLines(text.slice(0, text.lastIndexOf("\n") + 1)).find(({ from }) => from)?.from ?? {};
      story.push(`${moment} ${count} + ${ms.toFixed(1)} ms, from epoch ${epoch ?? "-"}, batch ${batch ?? "-"}`);
      const context = `seed ${seed}: ${story.join("; ")}`;
      expect(errors, context).toBe("");
      if (existsSync(run) && readdirSync(run).some((file) => file.startsWith("last.safetensors."))) torn++;
      // Otherwise it had finished, and the test needs more epochs.
      expect(killed, context).toBe(true);
    }
    const begun = existsSync(join(run, "config.json"));
    const last = await cli(begun ? ["train", "--resume", "killed", "--json"] : [...train, "--out", "killed"], options);
    const context = `seed ${seed}: ${story.join("; ")}`;
    expect(last.stderr, context).toBe("");
    expect(last.code, context).toBe(0);
    for (const file of ["last", "best"]) {
      const [a, b] = ["killed", "whole"].map((name) => readFileSync(join(folder.path, name, `${file}.safetensors`)));
      expect(a!.equals(b!), `${file}.safetensors, ${context}`).toBe(true);
    }
    expect(epochsOf(run), context).toEqual(epochsOf(join(folder.path, "whole")));
    expect(readdirSync(run).sort(), context).toEqual(readdirSync(join(folder.path, "whole")).sort());
    // A few kills may all miss the milliseconds that a checkpoint of this size takes.
    if (KILLS >= 100) expect(torn, context).toBeGreaterThan(0);
    console.log(`${KILLS} kills, of which ${torn} left a checkpoint half written`);
  },
  TIMEOUT_MS,
);

test("a second SIGINT exits at once, and the last save stays", async () => {
  await makePhotos(join(folder.path, "photos"), 3, 30);
  const child = startCli(["train", "photos", ...TINY, "--epochs", "500", "--out", "twice"], options);
  let text = "";
  const errors = new Response(child.stderr).text();
  for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
    text += new TextDecoder().decode(chunk);
    if (!/^ {4}1 /m.test(text) || child.killed) continue;
    child.kill("SIGTERM");
    child.kill("SIGINT");
  }
  await child.exited;
  // Two at nearly the same time may arrive between two steps, and end it in the orderly way.
  expect(child.exitCode).toBe(1);
  expect(await errors).toStartWith("stopping after this step; press Ctrl-C again to stop at once\n");
  const { code } = await cli(["train", "--resume", "twice", "--epochs", "2"], options);
  expect(code).toBe(0);
  expect(epochsOf(join(folder.path, "twice")).length).toBeGreaterThanOrEqual(2);
});

test("SIGINT stops after the step, saves, and says how to continue; resumed, the bytes are the same", async () => {
  await makePhotos(join(folder.path, "photos"), 3, 30);
  const train = ["train", "photos", ...TINY, "--epochs", "3", "--json"];
  expect((await cli([...train, "--out", "all"], options)).code).toBe(0);
  const child = startCli(["train", "photos", ...TINY, "--epochs", "3", "--out", "stopped"], options);
  const errors = new Response(child.stderr).text();
  let text = "";
  for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
    text += new TextDecoder().decode(chunk);
    // The first epoch is finished, and the second has begun.
    if (/^ {4}1 /m.test(text) && !child.killed) child.kill("SIGINT");
  }
  await child.exited;
  expect(child.exitCode).toBe(1);
  expect(await errors).toBe("stopping after this step; press Ctrl-C again to stop at once\n");
  expect(text).toContain("Stopped and saved. Continue with  bun run train --resume stopped\n");
  const resumed = await cli(["train", "--resume", "stopped"], options);
  expect(resumed.stdout).toMatch(/continuing with epoch \d, batch \d/);
  expect(resumed.code).toBe(0);
  for (const file of ["last.safetensors", "best.safetensors"]) {
    const [a, b] = ["stopped", "all"].map((name) => readFileSync(join(folder.path, name, file)));
    expect(a!.equals(b!), file).toBe(true);
  }
  expect(epochsOf(join(folder.path, "stopped"))).toEqual(epochsOf(join(folder.path, "all")));
});
