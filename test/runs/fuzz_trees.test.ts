/**
 * Run folders as trees: things of every kind in the place of its files, and JSON with any values. Whatever is done with
 * such a run, nothing outside its folder is read or written, nothing waits, and what is wrong is one line.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  linkSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { AlexNetError } from "../../src/errors.ts";
import { lockFolder } from "../../src/io/lock.ts";
import { Purpose, Random } from "../../src/random.ts";
import { changeConfig } from "../../src/runs/config.ts";
import { readHistory } from "../../src/runs/history.ts";
import { findRun, namedRun, type Run } from "../../src/runs/runs.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";

const CONTROLS = /[\x00-\x1f\x7f-\x9f]/;
const SECRET = "what is in here is nobody's business";
/** What would show that it was read. */
const MARK = /nobody's business/;

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
/** Its files, without the network's weights, which take their time. */
const files = new Map<string, Buffer>();

beforeAll(async () => {
  const data = await makePhotos(at("photos"), 3, 10);
  await train({ ...tiny, data, epochs: 1, out: at("original") });
  for (const name of readdirSync(at("original"))) {
    if (!name.endsWith(".html")) files.set(name, readFileSync(at("original", name)));
  }
  mkdirSync(at("outside"));
  writeFileSync(at("outside", "secret"), SECRET);
  if (process.platform !== "win32") Bun.spawnSync(["mkfifo", at("pipe")]);
}, 60_000);

type Below = (limit: number) => number;

const NAMES = [
  "images.jsonl.gz",
  "samples",
  "lock",
  "lock.json",
  "log.csv",
  "report.html",
  "mistakes.png",
  "last.previous.safetensors",
];
const NUMBERS = [0, -1, 0.5, 1e308, -0, 2 ** 53, 100_000, null];

/** Anything in JSON, nested a little. */
function anyValue(below: Below, depth = 0): unknown {
  const kinds = [
    () => NUMBERS[below(NUMBERS.length)],
    () => ["", "a", "\u001b[31m", "\u202e", "../../x", "constant", "gpu:99", "x".repeat(below(5000))][below(8)],
    () => below(2) === 0,
    () => Array.from({ length: below(4) }, () => anyValue(below, depth + 1)),
    () => ({ kind: anyValue(below, 3), rate: anyValue(below, 3), __proto__: null, from: anyValue(below, 3) }),
  ];
  return kinds[below(depth < 2 ? kinds.length : 3)]!();
}

/** JSON with one to three of its values, at any depth, exchanged for others. */
function otherValues(text: string, below: Below): string {
  const whole = JSON.parse(text) as Record<string, unknown>;
  for (let left = 1 + below(3); left > 0; left--) {
    let inside: Record<string, unknown> = whole;
    for (;;) {
      const keys = Object.keys(inside);
      const key = keys[below(keys.length)];
      if (key === undefined) break;
      const value = inside[key];
      if (typeof value === "object" && value !== null && below(2) === 0) inside = value as Record<string, unknown>;
      else {
        inside[key] = anyValue(below);
        break;
      }
    }
  }
  return JSON.stringify(whole);
}

/** Puts something of another kind in the place of a file. */
function exchange(path: string, below: Below): void {
  rmSync(path, { recursive: true, force: true });
  const links = [at("outside", "secret"), at("outside"), at("outside", "new"), at("pipe"), "/dev/zero", "..", "."];
  const kinds = [
    () => symlinkSync(links[below(links.length)]!, path),
    () => mkdirSync(path),
    () => {
      mkdirSync(path);
      symlinkSync(at("outside", "secret"), join(path, "link"));
    },
    () => writeFileSync(path, ""),
    // A file with nothing in it that takes no room on the disk.
    () => (writeFileSync(path, ""), truncateSync(path, 2 ** 40)),
    // A pipe itself, under another name.
    () => linkSync(at("pipe"), path),
  ];
  kinds[below(kinds.length)]!();
}

function makeTree(path: string, below: Below): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  for (const [name, bytes] of files) if (below(20) > 0) writeFileSync(join(path, name), bytes);
  const names = [...files.keys(), ...NAMES];
  if (below(3) > 0) exchange(join(path, names[below(names.length)]!), below);
  const json = ["config.json", "start.json", "confusion.json"][below(3)]!;
  if (below(2) > 0 && lstatSync(join(path, json), { throwIfNoEntry: false })?.isFile()) {
    writeFileSync(join(path, json), otherValues(files.get(json)!.toString(), below));
  }
}

/** What the commands do with a run, but for the arithmetic. What it returns is what they would show. */
const USES: readonly ((path: string) => unknown)[] = [
  (path) => changeConfig(findRun(path).readConfig(), {}),
  (path) => read(findRun(path)),
  (path) => {
    openCheckpoint(findRun(path, "best.safetensors").best).close();
  },
  async (path) => {
    const run = findRun(path);
    const lock = lockFolder(run.path, () => {});
    try {
      run.log({ step: 1 });
      await run.writeConfig(run.readConfig());
      await run.rewind({ step: 1, epoch: 1 });
    } finally {
      lock.release();
    }
  },
  (path) => namedRun(path).log({ step: 1 }),
];

function read(run: Run) {
  return [run.readStart(), run.readConfusion(), readHistory(run)];
}

test.skipIf(process.platform === "win32")(
  "a run folder as a tree",
  async () => {
    let good = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const random = new Random(20151, Purpose.drawing, round);
      const below: Below = (limit) => Math.floor(random.uniform() * limit);
      makeTree(at("tree"), below);
      try {
        const shown = await USES[round % USES.length]!(at("tree"));
        expect(JSON.stringify(shown) ?? "").not.toMatch(MARK);
        good++;
      } catch (error) {
        if (!(error instanceof AlexNetError)) throw new Error(`round ${round}: no AlexNetError`, { cause: error });
        expect(error.message).not.toMatch(CONTROLS);
        expect(error.message).not.toMatch(MARK);
        expect(error.message.length).toBeLessThan(1000);
      }
      expect(readdirSync(at("outside"))).toEqual(["secret"]);
      expect(readFileSync(at("outside", "secret"), "utf8")).toBe(SECRET);
    }
    expect(existsSync(at("pipe"))).toBe(true);
    expect(good).toBeGreaterThan(ROUNDS / 20);
    expect(good).toBeLessThan(ROUNDS);
  },
  TIMEOUT_MS,
);
