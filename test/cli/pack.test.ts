/** The `pack` command: what it prints, what it refuses, and that kills change no byte of the pack. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cli, cliAtTerminal, startCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { drawn, makePhotos } from "../support/images.ts";
import { until } from "../support/processes.ts";

// Processes are slow on a busy machine.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const path = (...names: string[]) => join(folder.path, ...names);
const KILLS = 12;
const TIMEOUT_MS = 300_000;

beforeAll(async () => {
  await makePhotos(path("photos"), 2, 10);
  // Enough for a dozen kills; all the same picture, to be made fast.
  const many = await makePhotos(path("many"), 2, 1);
  for (const name of ["c0", "c1"]) {
    const bytes = readFileSync(join(many, name, "000.png"));
    for (let i = 1; i < 400; i++) writeFileSync(join(many, name, `${String(i).padStart(3, "0")}.png`), bytes);
  }
});

const filesOf = (name: string) =>
  Object.fromEntries(
    readdirSync(path(name))
      .sort()
      .map((file) => [file, readFileSync(path(name, file)).toString("base64")]),
  );

test("without a native libjpeg-turbo, JPEGs are packed to the same bytes", async () => {
  for (let i = 0; i < 6; i++) {
    mkdirSync(path("jpegs", `c${i % 2}`), { recursive: true });
    const photo = await drawn(90, 70, (x, y) => [(x * y) % 256, (3 * x + i * y) % 256, (x ^ y) % 256]).jpeg(80);
    writeFileSync(path("jpegs", `c${i % 2}`, `${i}.jpg`), photo);
  }
  for (const [out, env] of [
    ["native", {}],
    ["wasm", { TURBOJPEG_LIB_PATH: "off" }],
  ] as const) {
    const { code, stderr } = await cli(["pack", "jpegs", out, "--side", "32", "--as", "jpeg"], { ...options, env });
    expect([code, stderr]).toEqual([0, ""]);
  }
  expect(filesOf("wasm")).toEqual(filesOf("native"));
});

describe("what it prints", () => {
  test("a summary, again when there is nothing left to do", async () => {
    const pack = ["pack", "photos", "packed", "--side", "24"];
    const first = await cli(pack, options);
    expect(first.stderr).toBe("");
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(
      /^packed: 20 images, 2 classes\n24 × 24 JPEG, 0\.\d MB in 1 shard, packed at \d+ images\/s\nTrain on it: {2}bun run train packed\n$/,
    );
    const second = await cli(pack, options);
    expect([second.code, second.stderr]).toEqual([0, ""]);
    expect(second.stdout).toContain("in 1 shard, packed before\n");
    const train = await cli(
      [
        "train",
        "packed",
        "--model",
        "relu-or-tanh",
        "--batch",
        "8",
        "--rate",
        "0.0001",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--epochs",
        "1",
      ],
      options,
    );
    expect([train.code, train.stderr]).toEqual([0, ""]);
  });

  test("JSON", async () => {
    const { stdout, code } = await cli(
      ["pack", "photos", "json", "--as", "raw", "--side", "16", "--shard", "6", "--json"],
      options,
    );
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n").length).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      ...{ out: path("json"), encoding: "raw", side: 16, classes: 2, train: 20, val: 0, shards: 4, packed: 20 },
      bytes: readdirSync(path("json"))
        .filter((file) => file.endsWith(".shard"))
        .reduce((sum, file) => sum + statSync(path("json", file)).size, 0),
      imagesPerSecond: expect.any(Number),
      problems: [],
      remarks: [],
    });
  });

  test("problems, a line each", async () => {
    await makePhotos(path("odd"), 2, 6);
    const awkward = process.platform === "win32" ? "bad.png" : "bad\n\x1b[31m.png";
    writeFileSync(path("odd", "c0", awkward), "no image");
    const { stderr, stdout, code } = await cli(["pack", "odd", "odd-packed", "--side", "16"], options);
    expect(code).toBe(0);
    expect(stdout).toStartWith("odd-packed: 12 images, 2 classes\n");
    expect(stderr).toMatch(/^[^\n\x1b]*skipped [^\n\x1b]*bad[^\n\x1b]*\.png: it is not a JPEG, PNG or WebP image\n$/);
  });

  test("progress at a terminal", async () => {
    const text = await cliAtTerminal(["pack", "photos", "terminal", "--side", "24"], options);
    expect(text).toMatch(/packing ━+ 100%  0 s left  20 of 20 images/);
  });
});

// Elsewhere a process's peak memory starts with that of its parent.
test.skipIf(process.platform !== "linux")("a shard of many large PNGs takes the memory of a few", async () => {
  // 80 × 4 MB of pixels, and as much again for the results.
  const png = drawn(1000, 1000, (x) => [x % 256, 0, 0]).pngSync();
  for (const name of ["a", "b"]) {
    mkdirSync(path("large", name), { recursive: true });
    for (let i = 0; i < 40; i++) writeFileSync(path("large", name, `${i}.png`), png);
  }
  const task = fileURLToPath(new URL("../../src/verbs/pack/pack.ts", import.meta.url));
  const script = `
    const { pack } = await import(${JSON.stringify(task)});
    const { train } = await pack({ data: "large", out: "large-packed", side: 32, shard: 80, threads: 1 });
    const status = await Bun.file("/proc/self/status").text();
    console.log(train, Number(/VmHWM:\\s+(\\d+) kB/.exec(status)[1]) / 1024);
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { cwd: folder.path, stdout: "pipe", stderr: "inherit" });
  const [images, megabytes] = (await new Response(child.stdout).text()).split(" ").map(Number);
  expect(images).toBe(80);
  expect(megabytes).toBeLessThan(400);
});

describe("refused in one line", () => {
  test.each([
    [["pack"], "DATA is missing; see --help"],
    [["pack", "photos"], "OUT is missing; see --help"],
    [["pack", "photos", "out", "more"], 'unexpected argument "more"; see --help'],
    [["pack", "photos", "photos"], /photos is not empty \(c\d\): name a new folder$/],
    [["--side", "0"], "--side 0: must be a whole number from 1 to 4096"],
    [["--side", "x"], "--side x: must be a number"],
    [["--side", "2.5"], "--side 2.5: must be a whole number from 1 to 4096"],
    [["--side", "5000"], "--side 5000: must be a whole number from 1 to 4096"],
    [["--shorter", "100"], "--shorter 100: must be at least --side (256)"],
    [["--shorter", "-1"], "--shorter -1: must be a whole number above 0"],
    [["--as", "png"], "--as png: must be jpeg or raw"],
    [["--quality", "101"], "--quality 101: must be a whole number from 1 to 100"],
    [["--quality", "0"], "--quality 0: must be a whole number from 1 to 100"],
    [["--as", "raw", "--quality", "90"], "--quality is only for --as jpeg"],
    [["--shard", "0"], "--shard 0: must be a whole number above 0"],
    [["--threads", "0"], "--threads 0: must be a whole number above 0"],
    [["--threads"], "--threads needs a value"],
    [["--size", "3"], /^unknown option --size/],
  ] as const)("%o", async (args, message) => {
    const all = args[0] === "pack" ? args : ["pack", "photos", "refused", ...args];
    const { code, stdout, stderr } = await cli([...all], options);
    expect([code, stdout]).toEqual([2, ""]);
    const [line, ...rest] = stderr.split("\n");
    expect(rest).toEqual([""]);
    const said = line!.replace(/^\W*error:? */i, "");
    if (typeof message === "string") expect(said).toBe(message);
    else expect(said).toMatch(message);
    expect(existsSync(path("refused"))).toBe(false);
  });

  test("a file that is not a library, and missing data", async () => {
    const lib = path("libturbojpeg.so");
    writeFileSync(lib, "no library");
    const wrong = await cli(["pack", "photos", "no-library"], { ...options, env: { TURBOJPEG_LIB_PATH: lib } });
    expect([wrong.code, wrong.stdout]).toEqual([1, ""]);
    expect(wrong.stderr).toEndWith(
      `TURBOJPEG_LIB_PATH is ${lib}, which can't be loaded or is older than TurboJPEG 3: correct or unset it\n`,
    );
    expect(wrong.stderr.trimEnd()).not.toContain("\n");
    const missing = await cli(["pack", "nothing", "no-data"], options);
    expect([missing.code, missing.stdout]).toEqual([1, ""]);
    expect(missing.stderr).toMatch(/^[^\n]*nothing does not exist: [^\n]*\n$/);
  });

  const isRoot = process.getuid?.() === 0;
  test.skipIf(process.platform === "win32" || isRoot)("a folder without write permission", async () => {
    mkdirSync(path("locked"), { mode: 0o500 });
    const { code, stderr } = await cli(["pack", "photos", "locked/out"], options);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^[^\n]*can't pack into [^\n]*: permission denied\n$/);
  });
});

/** Complete shards, with their time of writing. */
const shardsOf = (name: string) =>
  new Map(
    (existsSync(path(name)) ? readdirSync(path(name)) : [])
      .filter((file) => file.endsWith(".shard"))
      .map((file) => [file, statSync(path(name, file)).mtimeMs]),
  );

/** 100 shards, one thread. */
const PACK = ["pack", "many", "--side", "16", "--shard", "8", "--threads", "1"] as const;

test(
  `SIGKILL ${KILLS} times: the bytes of an undisturbed one, and no shard is written twice`,
  async () => {
    const whole = await cli([...PACK, "whole"], options);
    expect([whole.code, whole.stderr]).toEqual([0, ""]);
    const seed = Date.now() % 1e6;
    // Any seed will do; it is printed so that a failure can be reproduced.
    let state = seed;
    const random = () => (state = (state * 48271 + 11) % 2147483647) / 2147483647;
    const story: string[] = [];
    for (let kills = 0; kills < KILLS; kills++) {
      const before = shardsOf("killed");
      // After this many new shards, and some time. The first is often killed before it has written anything.
      const [count, ms] = [kills === 0 ? 0 : Math.floor(6 * random()), 20 * random() ** 2];
      const child = startCli([...PACK, "killed"], options);
      const errors = new Response(child.stderr).text();
      while (shardsOf("killed").size < before.size + count && child.exitCode === null) await Bun.sleep(1);
      await Bun.sleep(ms);
      child.kill("SIGKILL");
      await child.exited;
      const after = shardsOf("killed");
      story.push(`${count} shards + ${ms.toFixed(1)} ms: from ${before.size} to ${after.size}`);
      const context = `seed ${seed}: ${story.join("; ")}`;
      expect(await errors, context).toBe("");
      // Otherwise it had finished, and the test needs more shards.
      expect(child.signalCode, context).toBe("SIGKILL");
      for (const [file, time] of before) expect(after.get(file), `${file}, ${context}`).toBe(time);
    }
    const before = shardsOf("killed");
    const last = await cli([...PACK, "killed"], options);
    const context = `seed ${seed}: ${story.join("; ")}`;
    expect([last.code, last.stderr], context).toEqual([0, ""]);
    expect(before.size, context).toBeGreaterThan(0);
    for (const [file, time] of before) expect(shardsOf("killed").get(file), `${file}, ${context}`).toBe(time);
    expect(filesOf("killed"), context).toEqual(filesOf("whole"));
  },
  TIMEOUT_MS,
);

test("SIGINT stops after the current shards and says how to continue", async () => {
  const child = startCli([...PACK, "stopped"], options);
  const [text, errors] = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  await until(() => shardsOf("stopped").size >= 3, child);
  child.kill("SIGINT");
  await child.exited;
  expect(child.exitCode).toBe(1);
  expect(await errors).toBe(
    "stopping after the current shards; press Ctrl-C again to stop at once\nStopped. Run the same command to continue.\n",
  );
  expect(await text).toBe("");
  expect(readdirSync(path("stopped")).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  const before = shardsOf("stopped");
  const { code, stdout } = await cli([...PACK, "stopped", "--json"], options);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ train: 800, packed: 800 - 8 * before.size });
  for (const [file, time] of before) expect(shardsOf("stopped").get(file)).toBe(time);
  expect(Object.keys(filesOf("stopped"))).toEqual(expect.arrayContaining(["pack.json", "mean.npy", "report.csv"]));
});
