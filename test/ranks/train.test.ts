/**
 * Training on several ranks is training: the same losses as on one, the same bytes every time, resumed on any number of
 * ranks, stopped in order, and ended when the ranks don't agree. `RANK_STEPS=100` compares the losses of more steps.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import { cli, epochsOf, jsonLines, MAIN, TINY } from "../support/cli.ts";
import { expectClose } from "../support/data.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { CPU, ended, missing, onRanks, SAY_STATUS, startRanks } from "../support/mpi.ts";
import { until } from "../support/processes.ts";
import { stepLosses } from "../support/steps.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const cpu = [...CPU, "--json"];

const train = (size: number, args: readonly string[]) => onRanks(size, ["train", ...args], folder.path);
function tensorOf(run: string, name: string): Float32Array {
  using file = openSafetensors(join(folder.path, run, "last.safetensors"));
  return file.tensors.get(name)!.read();
}

const bytes = (run: string) => readFileSync(join(folder.path, run, "last.safetensors"));

describe.skipIf(missing !== undefined)(`training on ranks${missing ? ` (skipped: ${missing})` : ""}`, () => {
  // Half a minute in which they only wait, and the other tests go on; the last one looks at what came of it.
  let hanging: ReturnType<typeof ended>;
  beforeAll(() => void (hanging = ended(startRanks(3, [join(import.meta.dir, "rank.ts"), "silent"], folder.path))));

  // Crops, mirror images, colours, dropout, and images mixed across the borders of shares. The rate is low: what sums in
  // another order differ by grows from step to step, as it does between two libraries of BLAS.
  const step = ["--model", "alexnet-cifar", "--augment", "modern", "--rate", "0.0000003", "--batch", "16", ...cpu];
  const steps = Number(process.env.RANK_STEPS ?? 50);
  const epoch = [...step, "--limit", `${16 * steps}`, "--epochs", "1"];

  test(`${steps} steps of 1, 2 and 4 ranks have the same losses`, async () => {
    const one = await cli(["train", ...epoch, "--out", "one"], options);
    expect(one.code, one.stderr).toBe(0);
    const expected = stepLosses(one.stdout);
    expect(expected.length).toBe(steps);
    // What is learnt changes the losses a thousand times as much as what is allowed for.
    const still = stepLosses((await cli(["train", ...epoch, "--rate", "1e-12", "--out", "still"], options)).stdout);
    expect(Math.max(...still.map((loss, i) => Math.abs(loss - expected[i]!)))).toBeGreaterThan(0.01);
    for (const size of [2, 4]) {
      const { stdout, stderr, code } = await train(size, [...epoch, "--out", `of-${size}`]);
      expect(code, stderr).toBe(0);
      const found = stepLosses(stdout);
      expect(found.length).toBe(steps);
      const differences = found.map((loss, i) => Math.abs(loss - expected[i]!));
      expect(Math.max(...differences), `${size} ranks`).toBeLessThan(1e-5);
      // The validation is shared out too.
      const [a, b] = [one.stdout, stdout].map((text) => jsonLines(text).find(({ type }) => type === "epoch")!.val);
      expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-5);
      expect(b.top1).toBeCloseTo(a.top1, 2);
    }
  });

  test("batches that add up to a step have the losses of one large batch, on one rank and on two", async () => {
    const few = [...step, "--loss-weights", "balanced", "--warmup", "5steps", "--limit", "160", "--epochs", "1"];
    const expected = stepLosses((await cli(["train", ...few, "--out", "large"], options)).stdout);
    expect(expected.length).toBe(10);
    const parts = [...few, "--batch", "4", "--accumulate", "4"];
    for (const size of [1, 2]) {
      const out = ["--out", `added-${size}`];
      const { stdout, stderr, code } = await (size === 1
        ? cli(["train", ...parts, ...out], options)
        : train(size, [...parts, ...out]));
      expect(code, stderr).toBe(0);
      expectClose(`${size} ranks`, stepLosses(stdout), expected, 1e-5);
    }
    const split = await train(2, [...parts, "--split", "owt", "--out", "cut"]);
    expect(split.code).not.toBe(0);
    expect(split.stderr).toContain("--split owt: parts of a network take a step at once: leave out --accumulate");
  });

  test("the same number of ranks makes the same bytes; what one number saved, another goes on with", async () => {
    // 100 images: the last batch of an epoch is not full, and the shares of the last ranks are empty.
    const small = [
      "--model",
      "small",
      "--batch",
      "32",
      "--limit",
      "100",
      "--schedule",
      "constant",
      "--rate",
      "0.00001",
      ...cpu,
    ];
    for (const run of ["a", "b"]) {
      const { code, stderr } = await train(3, [...small, "--epochs", "2", "--out", run]);
      expect(code, stderr).toBe(0);
    }
    expect(bytes("a").equals(bytes("b"))).toBe(true);
    const more = ["--resume", "b", "--epochs", "4", "--json"];
    const { code, stderr, stdout } = await train(2, more);
    expect(code, stderr).toBe(0);
    expect(jsonLines(stdout)[0]).toMatchObject({ type: "start", from: { epoch: 2, batch: 0 } });
    expect((await cli(["train", ...small, "--epochs", "4", "--out", "alone"], options)).code).toBe(0);
    const [found, expected] = ["b", "alone"].map((run) => epochsOf(join(folder.path, run)));
    expect(found!.length).toBe(4);
    for (const [i, { train, val }] of (found as any[]).entries()) {
      expect(Math.abs(train.loss - (expected as any[])[i].train.loss)).toBeLessThan(1e-5);
      expect(Math.abs(val.loss - (expected as any[])[i].val.loss)).toBeLessThan(1e-5);
    }
    expect((await cli(["train", "--resume", "b", "--epochs", "5"], options)).code).toBe(0);
  });

  test("images that were added since: refused, or left alone by all of them", async () => {
    const photos = await makePhotos(join(folder.path, "photos"), 2, 20);
    const begun = ["train", photos, ...TINY, "--epochs", "1", "--out", "grown"];
    expect((await cli(begun, options)).code).toBe(0);
    await Bun.write(join(photos, "c0", "0.png"), Bun.file(join(photos, "c0", "000.png")));
    const resume = ["--resume", "grown", "--epochs", "2", "--json"];
    const refused = await train(2, resume);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/^error: .*the images in .* have changed .*1 added/m);
    const { code, stdout, stderr } = await train(2, [...resume, "--allow-changed-data"]);
    expect(code, stderr).toBe(0);
    expect(jsonLines(stdout).find(({ type }) => type === "start")).toMatchObject({ train: 36, val: 4 });
  });

  test("a signal to mpiexec stops all after the step, saved", async () => {
    const small = ["--model", "small", "--batch", "32", "--limit", "320", "--rate", "0.0001", ...cpu];
    const child = startRanks(2, [MAIN, "train", ...small, "--epochs", "500", "--out", "stopped"], folder.path, {
      through: SAY_STATUS,
    });
    await until(() => existsSync(join(folder.path, "stopped", "last.safetensors")), child);
    child.kill("SIGINT");
    const { stdout } = await ended(child);
    expect(stdout.match(/a rank ended with \d+/g)).toEqual(["a rank ended with 1", "a rank ended with 1"]);
    // The launcher has its own word to say.
    const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ type: "end", interrupted: true });
    const { code: resumed } = await train(2, ["--resume", "stopped", "--epochs", "3"]);
    expect(resumed).toBe(0);
  });

  test("a rank that is killed ends all; what was saved last is good", async () => {
    const small = ["--model", "small", "--batch", "32", "--limit", "320", "--rate", "0.0001", ...cpu];
    const child = startRanks(3, [MAIN, "train", ...small, "--epochs", "500", "--out", "killed"], folder.path);
    await until(() => existsSync(join(folder.path, "killed", "last.safetensors")), child);
    process.kill(lastDescendant(child.pid)!, "SIGKILL");
    const { code, seconds, stderr, stdout } = await ended(child);
    expect(code).not.toBe(0);
    expect(seconds).toBeLessThan(60);
    // The launcher says it: it is the one who knows.
    expect(stderr + stdout).toMatch(/[Kk]illed|signal 9|EXIT CODE: 9/);
    expect((await train(2, ["--resume", "killed", "--epochs", "2"])).code).toBe(0);
  });

  test("ranks that were told different things don't begin", async () => {
    const common = [MAIN, "train", "--model", "small", "--out", "never", ...cpu];
    const child = startRanks(2, common, folder.path, { others: [...common, "--seed", "3"] });
    const { code, stderr, seconds } = await ended(child);
    expect(code).toBe(1);
    expect(stderr).toContain(
      "rank 2 of 3 differs from rank 0: seed is 3, on rank 0 it is not given: start all ranks with the same program, options and data",
    );
    expect(seconds).toBeLessThan(60);
    expect(existsSync(join(folder.path, "never"))).toBe(false);
  });

  test("more ranks than images a step are too many", async () => {
    const { code, stderr } = await train(3, ["--model", "small", "--batch", "2", "--out", "never", ...cpu]);
    expect(code).toBe(2);
    expect(stderr).toContain("--batch 2: 3 ranks need at least 3 images a step");
  });

  test("batch normalisation has the statistics of the whole batch: losses and running statistics of one process", async () => {
    const network = `export default ({ batchNorm, conv, fc, globalAveragePool, relu }) => ({
      crop: 24,
      record: 28,
      layers: (classes) => [
        batchNorm("bn0", { learns: "neither" }),
        [conv("conv1", 8, 5, { sigma: 0.05, stride: 2, bias: false }), batchNorm("bn1"), relu()],
        globalAveragePool(),
        // One number of a map for each image.
        [batchNorm("bn2"), fc("fc", classes, { sigma: 0.05 })],
      ],
    });`;
    writeFileSync(join(folder.path, "normalised.js"), network);
    // Shares of five, five and six; and a last batch of two, which the other rows repeat.
    const args = [
      ...["--model", "normalised.js", "--batch", "16", "--limit", "50", "--epochs", "2", "--rate", "0.01"],
      ...cpu,
    ];
    const one = await cli(["train", ...args, "--out", "normalised-1"], options);
    expect(one.code, one.stderr).toBe(0);
    const expected = stepLosses(one.stdout, 16, 50);
    const { stdout, stderr, code } = await train(3, [...args, "--out", "normalised-3"]);
    expect(code, stderr).toBe(0);
    const found = stepLosses(stdout, 16, 50);
    expect(found.length).toBe(expected.length);
    expect(Math.max(...found.map((loss, i) => Math.abs(loss - expected[i]!)))).toBeLessThan(1e-5);
    for (const name of ["bn0", "bn1", "bn2"].flatMap((bn) => [`${bn}.running_mean`, `${bn}.running_var`])) {
      expectClose(name, tensorOf("normalised-3", name), tensorOf("normalised-1", name), 1e-5);
    }
  });

  test("one that hangs is named, and all end", async () => {
    const { stdout, code } = await hanging;
    const told = jsonLines(stdout);
    expect(told.length).toBeGreaterThan(0);
    expect(told[0]!.message).toStartWith("rank 1 of 3 has not been heard from for 24 s: it hangs");
    expect(told[0]!.seconds).toBeLessThan(60);
    expect(code).not.toBe(0);
  });
});

/** The youngest process that descends from one and has no children: a rank. */
function lastDescendant(id: number): number | undefined {
  const { stdout } = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid=,args="]);
  const rows = stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)!.slice(1));
  const below = (parent: number): number[] =>
    rows.flatMap(([pid, ppid]) => (Number(ppid) === parent ? [Number(pid), ...below(Number(pid))] : []));
  const ours = new Set(below(id));
  return rows
    .filter(([pid, , args]) => ours.has(Number(pid)) && args!.startsWith(`${process.execPath} ${MAIN}`))
    .map(([pid]) => Number(pid))
    .at(-1);
}
