/** Process faults: signals, a closed terminal, a second process in the same folder, the clock. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cli, epochsOf, jsonLines, MAIN, startCli, TINY } from "../support/cli.ts";
import { during, expectOneLine, expectSameRun } from "../support/faults.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { until } from "../support/processes.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const EPOCHS = 6;
const at = (...names: string[]) => join(folder.path, ...names);
const run = (args: readonly string[], env: Record<string, string> = {}) => cli(args, { cwd: folder.path, env });
const train = ["train", "photos", ...TINY, "--epochs", `${EPOCHS}`, "--augment", "mirror,colour"];

beforeAll(async () => {
  await makePhotos(at("photos"), 2, 40);
  const { code, stderr } = await run([...train, "--out", "whole"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

/** Resumes a run to its end, which must equal that of an undisturbed run. */
async function expectResumable(name: string): Promise<void> {
  expect(epochsOf(at(name)).length).toBeLessThan(EPOCHS);
  const { code, stderr } = await run(["train", "--resume", name]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expectSameRun(at(name), at("whole"));
  expect(readdirSync(at(name)).sort()).toEqual(readdirSync(at("whole")).sort());
}

const posix = process.platform !== "win32";

// SIGINT and its messages: test/cli/kill.test.ts.
for (const signal of ["SIGTERM", "SIGHUP"] as const) {
  test.skipIf(!posix)(`${signal}: stops after the step and saves`, async () => {
    const { code, stderr } = await during([...train, "--out", signal], folder.path, (event, child) => {
      if (event.type === "epoch") child.kill(signal);
      return event.type === "epoch";
    });
    expect(stderr).toBe("stopping after this step; press Ctrl-C again to stop at once\n");
    expect(code).toBe(1);
    await expectResumable(signal);
  });
}

test.skipIf(!posix)("a closed terminal: stops after the step and saves", async () => {
  let text = "";
  const child = Bun.spawn([process.execPath, MAIN, ...train, "--out", "hung-up"], {
    cwd: folder.path,
    env: { ...process.env, TERM: "xterm-256color" },
    terminal: { cols: 80, rows: 20, data: (_, bytes) => void (text += new TextDecoder().decode(bytes)) },
  });
  await until(() => /^ +1 .*%/m.test(text), child);
  child.terminal!.close();
  await child.exited;
  expect(child.signalCode).toBeNull();
  expect(child.exitCode).toBe(1);
  expect(existsSync(at("hung-up", "lock.json"))).toBe(false);
  await expectResumable("hung-up");
});

test.skipIf(!posix)("SIGHUP under nohup: continues", async () => {
  const command = ["nohup", process.execPath, MAIN, ...train, "--out", "nohup", "--json"];
  const child = Bun.spawn(command, { cwd: folder.path, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let text = "";
  for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
    if (!text.includes('"start"')) child.kill("SIGHUP");
    text += new TextDecoder().decode(chunk);
  }
  await child.exited;
  expect(child.exitCode).toBe(0);
  expectSameRun(at("nohup"), at("whole"));
});

test("a second training while the first runs, after it is killed, and after it ends", async () => {
  let second: Promise<unknown> | undefined;
  const { code, stderr } = await during(
    [...train, "--epochs", "400", "--out", "shared"],
    folder.path,
    (event, child) => {
      if (event.type !== "epoch") return false;
      second ??= (async () => {
        const message = new RegExp(
          `shared is in use by process ${child.pid} on .*, since .* UTC: wait until it ends, or stop it$`,
        );
        try {
          expectOneLine(await run(["train", "--resume", "shared"]), message);
        } finally {
          child.kill("SIGKILL");
        }
      })();
      return true;
    },
  );
  await second;
  expect(stderr).toBe("");
  expect(code).toBeNull();
  expect(existsSync(at("shared", "lock.json"))).toBe(true);
  const resumed = await run(["train", "--resume", "shared", "--epochs", "1"]);
  expect(resumed.stderr).toBe("");
  expect(resumed.code).toBe(0);
  expect(existsSync(at("shared", "lock.json"))).toBe(false);
});

test.skipIf(!posix)("two packs into one folder: one is refused, and the pack is that of the other", async () => {
  const args = (out: string) => ["pack", "photos", out, "--side", "32", "--shard", "4", "--threads", "1"];
  const first = startCli(args("both"), { cwd: folder.path });
  await until(() => existsSync(at("both", "lock.json")), first);
  // It holds the folder's lock for as long as it is stopped.
  first.kill("SIGSTOP");
  const second = await run(args("both"));
  first.kill("SIGCONT");
  expectOneLine(second, /both is in use by (another process|process \d+ on .*): wait until it ends/);
  expect(await first.exited).toBe(0);
  expect((await run(args("alone"))).code).toBe(0);
  expect(readdirSync(at("both")).sort()).toEqual(readdirSync(at("alone")).sort());
  const bytes = async (name: string) => {
    const files = readdirSync(at(name)).sort();
    return Promise.all(files.map(async (file) => Bun.hash(await Bun.file(at(name, file)).arrayBuffer())));
  };
  expect(await bytes("both")).toEqual(await bytes("alone"));
});

test("a clock that keeps being set back: times and bytes are unaffected", async () => {
  mkdirSync(at("clock"));
  // Every reading is an hour earlier.
  const backwards = `
    const Now = Date;
    let looks = 0;
    const now = () => Now.now() - 3600_000 * ++looks;
    globalThis.Date = class extends Now {
      constructor(...given) {
        if (given.length === 0) super(now());
        else super(...given);
      }
      static now() { return now(); }
    };`;
  writeFileSync(at("clock", "backwards.ts"), backwards);
  const env = { BUN_OPTIONS: `--preload ${at("clock", "backwards.ts")}` };
  const { code, stdout, stderr } = await run([...train, "--tensorboard", "--json", "--out", "backwards"], env);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expectSameRun(at("backwards"), at("whole"));
  const events = jsonLines(stdout).filter(({ type }) => type === "step" || type === "epoch");
  expect(events.length).toBeGreaterThan(EPOCHS);
  for (const { imagesPerSecond, secondsLeft = 0, seconds = 1 } of events) {
    expect(imagesPerSecond).toBeGreaterThan(0);
    expect(secondsLeft).toBeWithin(0, 3600);
    expect(seconds).toBeWithin(0, 3600);
  }
  // The fake clock was used.
  const probe = Bun.spawn([process.execPath, "-e", "console.log(Date.now() > Date.now())"], {
    env: { ...process.env, ...env },
    stdout: "pipe",
  });
  expect(await new Response(probe.stdout).text()).toBe("true\n");
});
