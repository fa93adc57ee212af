/** A run that somebody else made, or that came in an archive: nothing outside its folder is written or shown. */
import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lockFolder } from "../../src/io/lock.ts";
import { Run } from "../../src/runs/runs.ts";
import { draw } from "../../src/verbs/draw/draw.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { predict } from "../../src/verbs/predict/predict.ts";
import { report } from "../../src/verbs/report/report.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { cli, tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const SECRET = "what is in here is nobody's business";

beforeAll(async () => {
  await makePhotos(at("photos"), 3, 10);
  await train({ ...tiny, data: at("photos"), epochs: 1, out: at("original") });
});

beforeEach(() => {
  for (const name of ["run", "outside"]) rmSync(at(name), { recursive: true, force: true });
  cpSync(at("original"), at("run"), { recursive: true });
  mkdirSync(at("outside"));
  writeFileSync(at("outside", "secret"), SECRET);
});

const put = (name: string, target = at("outside", "secret")) => {
  rmSync(at("run", name), { recursive: true, force: true });
  symlinkSync(target, at("run", name));
};
const pipe = (name: string) => {
  rmSync(at("run", name), { force: true });
  expect(Bun.spawnSync(["mkfifo", at("run", name)]).exitCode).toBe(0);
};
const untouched = () => {
  expect(readdirSync(at("outside"))).toEqual(["secret"]);
  expect(readFileSync(at("outside", "secret"), "utf8")).toBe(SECRET);
};

const USES: Readonly<Record<string, () => Promise<unknown>>> = {
  "train --resume": () => train({ resume: at("run"), epochs: 2 }),
  report: () => report({ run: at("run"), csv: true }),
  predict: () => predict({ images: [at("photos", "c0", "000.png")], model: at("run"), device: "cpu" }),
  "draw curves": () => draw({ what: "curves", model: at("run"), out: at("curves.png") }),
};

describe.each(Object.keys(USES))("%s refuses a run", (use) => {
  test.each([
    "lock", "lock.json", "log.jsonl", "log.csv", "samples", "report.html", "mistakes.png", "config.json", "start.json",
    "confusion.json", "last.safetensors", "best.safetensors",
  ])("whose %s is a link", async (name) => {
    put(name, name === "samples" ? at("outside") : undefined);
    await expect(USES[use]!()).rejects.toThrow(
      new RegExp(`${RegExp.escape(name)} is a symbolic link; only files and folders are allowed here: remove it`),
    );
    untouched();
  }); // prettier-ignore

  test.skipIf(process.platform === "win32").each(["best.safetensors", "confusion.json", "log.jsonl"])(
    "whose %s is a pipe",
    async (name) => {
      pipe(name);
      await expect(USES[use]!()).rejects.toThrow(/is a pipe; only files and folders are allowed here/);
    },
  );
});

test.skipIf(process.platform === "win32")("weights that are named by their file may be no pipe either", () => {
  pipe("best.safetensors");
  expect(() => openCheckpoint(at("run", "best.safetensors"))).toThrow(
    /best.safetensors: can't be opened: it is a pipe/,
  );
});

test("a log and JSON that are too large are not read", () => {
  const large = Buffer.alloc(65 * 2 ** 20, " ");
  for (const name of ["config.json", "start.json", "confusion.json", "log.jsonl"]) {
    writeFileSync(at("run", name), large);
  }
  const run = new Run(at("run"));
  expect(() => run.readConfig()).toThrow(/config.json: it has 68157440 bytes; at most 67108864/);
  expect(() => run.readLog()).toThrow(/log.jsonl: it has 68157440 bytes/);
  expect([run.readStart(), run.readConfusion()]).toEqual([undefined, undefined]);
});

test("a lock that is no empty file is refused: SQLite would follow a link, and a journal's orders", () => {
  const lock = at("run", "lock");
  writeFileSync(lock, "SQLite format 3\0");
  expect(() => lockFolder(at("run"), () => {})).toThrow(/lock is not a lock of this program, .*: remove it/);
  put("lock");
  expect(() => lockFolder(at("run"), () => {})).toThrow(/lock is not a lock of this program/);
  put("lock", at("outside", "new"));
  expect(() => lockFolder(at("run"), () => {})).toThrow(/lock is not a lock of this program/);
  untouched();
});

test("who holds a lock is written over a link, not through it", () => {
  put("lock.json");
  lockFolder(at("run"), () => {}).release();
  expect(lstatSync(at("run", "lock.json"), { throwIfNoEntry: false })).toBeUndefined();
  untouched();
});

test("a report shows no picture that lies in the run's folder: it draws its own", async () => {
  for (const name of ["mistakes.png", "label-issues.png"]) writeFileSync(at("run", name), SECRET);
  await report({ run: at("run") });
  const page = readFileSync(at("run", "report.html"), "utf8");
  expect(page).toContain("Worst mistakes");
  expect(page).not.toContain(Buffer.from(SECRET).toString("base64").slice(0, 20));
});

test("a folder that --out names is not used when there are links in it", async () => {
  mkdirSync(at("named"));
  symlinkSync(at("outside"), at("named", "samples"));
  const training = train({ ...tiny, data: at("photos"), epochs: 1, out: at("named") });
  await expect(training).rejects.toThrow(/samples is a symbolic link/);
  untouched();
});

test("a pack is not made in a folder with links", async () => {
  mkdirSync(at("packed"));
  symlinkSync(at("outside", "secret"), at("packed", "plan.json"));
  const packing = pack({ data: at("photos"), out: at("packed"), side: 32, threads: 1 });
  await expect(packing).rejects.toThrow(/plan.json is a symbolic link/);
  untouched();
});

test.skipIf(process.platform === "win32")("a pipe that is named as a set is refused at once", async () => {
  Bun.spawnSync(["mkfifo", at("p.tar")]);
  const { code, stderr } = await cli(["look", at("p.tar"), "--out", at("look.png")], { cwd: folder.path });
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/p\.tar is a pipe, and images are read out of order: save it to a file\n$/),
  ]);
});
