/** Disk faults: full, read-only, and data deleted. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeMachine, machineProblems } from "../../src/verbs/doctor/machine.ts";
import { cli, epochsOf, TINY } from "../support/cli.ts";
import { canMount, during, expectOneLine, expectSameRun, mount, unmount } from "../support/faults.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
const disk = join(folder.path, "disk");
mkdirSync(disk);
const mounts = canMount(disk);
const isRoot = process.getuid?.() === 0;
afterAll(() => {
  if (mounts) unmount(disk);
  folder.remove();
});

const EPOCHS = 5;
const at = (...names: string[]) => join(folder.path, ...names);
const run = (args: readonly string[]) => cli(args, { cwd: folder.path });
const train = ["train", at("photos"), ...TINY, "--epochs", `${EPOCHS}`, "--augment", "mirror,colour"];

beforeAll(async () => {
  await makePhotos(at("photos"), 2, 40);
  const { code, stderr } = await run([...train, "--out", "whole"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

const without = mounts ? "" : " (skipped: no disk can be mounted here)";

test.skipIf(!mounts)(`a full disk${without}`, async () => {
  const size = (file: string) => statSync(at("whole", file)).size;
  // Space for the first epoch's files and half of the second's.
  const bytes = size("best.safetensors") + 1.7 * size("last.safetensors") + 2 * size("report.html");
  expect(mount(["-t", "tmpfs", "-o", `size=${Math.ceil(bytes)}`, "none", disk])).toBe(true);
  const out = join(disk, "run");
  const message = /can't write .*run.\w+\.safetensors: the disk is full$/;
  expectOneLine(await run([...train, "--out", out]), message);
  const saved = epochsOf(out).length;
  expect(saved).toBeGreaterThanOrEqual(1);
  expect(saved).toBeLessThan(EPOCHS);
  // The half-written file is removed, which frees its space.
  expect(readdirSync(out).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  expectOneLine(await run(["train", "--resume", out]), message);
  expect(mount(["-o", "remount,size=64m", disk])).toBe(true);
  const resumed = await run(["train", "--resume", out]);
  expect(resumed.stderr).toBe("");
  expect(resumed.code).toBe(0);
  expectSameRun(out, at("whole"));
  unmount(disk);
});

test.skipIf(isRoot && !mounts)(`a folder that becomes read-only${isRoot ? without : ""}`, async () => {
  const out = isRoot ? join(disk, "run") : at("readonly");
  // Permissions don't stop root, but a read-only file system does: one is mounted over the folder, since the training
  // keeps its lock file open.
  if (isRoot) expect(mount(["-t", "tmpfs", "-o", "size=64m", "none", disk])).toBe(true);
  const lock = () => (isRoot ? mount(["-t", "tmpfs", "-o", "ro", "none", out]) : (chmodSync(out, 0o555), true));
  const unlock = () => (isRoot ? unmount(out) : chmodSync(out, 0o755));
  const ended = await during([...train, "--out", out], folder.path, (event) => event.type === "epoch" && lock());
  expectOneLine(ended, /can't write .*run.\w+\.(safetensors|jsonl|json): (the disk is read-only|permission denied)$/);
  if (!isRoot) expectOneLine(await run(["train", "--resume", out]), /can't write to .*: permission denied$/);
  unlock();
  const resumed = await run(["train", "--resume", out]);
  expect(resumed.stderr).toBe("");
  expect(resumed.code).toBe(0);
  expectSameRun(out, at("whole"));
});

test.skipIf(!mounts)(`a read-only disk: the doctor reports it${without}`, () => {
  expect(mount(["-t", "tmpfs", "-o", "ro", "none", disk])).toBe(true);
  const disks = (["runs", "cache"] as const).map((use) => ({ use, path: disk, freeBytes: 1e10 }));
  const problems = machineProblems({ ...describeMachine(), disks, freeMemoryBytes: 1e10 });
  expect(problems).toEqual([
    {
      what: `runs can't be saved in ${disk}: the disk is read-only`,
      remedy: "change its permissions, or train with --out elsewhere",
    },
    {
      what: `the cache can't be kept in ${disk}: the disk is read-only`,
      remedy: "change its permissions, or set ALEXNET_CACHE to a writable folder",
    },
  ]);
  unmount(disk);
});

test("data deleted during training", async () => {
  expect(
    (await run([...train.slice(0, -4), "--epochs", "1", "--augment", "mirror,colour", "--out", "gone"])).code,
  ).toBe(0);
  expect(existsSync(at("gone", "last.safetensors"))).toBe(true);
  // A resumed run has nothing in memory, and reads only a few batches ahead.
  const resume = ["train", "--resume", "gone", "--epochs", `${EPOCHS}`];
  const ended = await during(resume, folder.path, (event) => {
    if (event.type !== "start") return false;
    renameSync(at("photos"), at("hidden"));
    return true;
  });
  expectOneLine(ended, /\d+ of the 72 images of .*photos can't be used, first .*\.png: .*no such file/);
  expectOneLine(await run(resume), /no such file or folder: .*photos, which the run has its images from: put it back/);
  renameSync(at("hidden"), at("photos"));
  const resumed = await run(resume);
  expect(resumed.stderr).toBe("");
  expect(resumed.code).toBe(0);
  expectSameRun(at("gone"), at("whole"));
});
