/** Damaged files of a run, and damaged requests to the dashboard: read as far as they go, refused with one line, or not there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { openDataset, type Opened } from "../../src/data/open.ts";
import { Measurements } from "../../src/devices/wgpu/measurements.ts";
import { reluForward } from "../../src/engine/ops/activation.ts";
import { AlexNetError } from "../../src/errors.ts";
import { LockedError, lockFolder } from "../../src/io/lock.ts";
import { changeConfig } from "../../src/runs/config.ts";
import { readHistory } from "../../src/runs/history.ts";
import { compareWithRun } from "../../src/runs/recorded.ts";
import { Run } from "../../src/runs/runs.ts";
import { openDashboard } from "../../src/verbs/train/dashboard/server.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { mutate, ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";

const CONTROLS = /[\x00-\x1f\x7f-\x9f]/;

const folder = temporaryFolder();
afterAll(folder.remove);
const path = join(folder.path, "run");
const photos = join(folder.path, "photos");
let whole: Opened | undefined;

/** What is read of each file; true when it says something. */
const READERS: Readonly<Record<string, (run: Run) => boolean | Promise<boolean>>> = {
  "config.json": (run) => changeConfig(run.readConfig(), {}).network !== "",
  "start.json": (run) => run.readStart() !== undefined,
  "confusion.json": (run) => run.readConfusion() !== undefined,
  "log.jsonl": (run) => readHistory(run).epochs.length > 0,
  "images.jsonl.gz": async (run) => {
    const recorded = await compareWithRun(run, { data: photos, val: null, holdOut: 0.1, seed: 0 }, whole!, () => {});
    return recorded !== null && recorded.changes === null;
  },
  "last.safetensors": (run) => {
    openCheckpoint(run.last).close();
    return true;
  },
};

describe("a run", () => {
  beforeAll(async () => {
    const data = await makePhotos(photos, 3, 10);
    await train({ ...tiny, data, epochs: 2, out: path });
    whole = await openDataset(data);
  }, 60_000);
  afterAll(() => whole && whole[Symbol.asyncDispose]());

  test.each(Object.keys(READERS))(
    "%s",
    async (name) => {
      const [file, run, read] = [join(path, name), new Run(path), READERS[name]!];
      const whole = readFileSync(file);
      expect(await read(run)).toBe(true);
      let good = 0;
      for (let round = 0; round < ROUNDS; round++) {
        writeFileSync(file, mutate(whole, round));
        try {
          if (await read(run)) good++;
        } catch (error) {
          if (!(error instanceof AlexNetError)) throw new Error(`round ${round}: no AlexNetError`, { cause: error });
          expect(error.message).not.toContain("\n");
        }
      }
      writeFileSync(file, whole);
      // Not all damage is found, nor none. A checkpoint has a sum over all of it.
      expect(good).toBeLessThan(ROUNDS);
    },
    TIMEOUT_MS,
  );
});

test(
  "who holds a lock",
  () => {
    const { release } = lockFolder(folder.path, () => {});
    const file = join(folder.path, "lock.json");
    const whole = readFileSync(file);
    let named = 0;
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(file, mutate(whole, round));
      try {
        lockFolder(folder.path, () => {});
        throw new Error(`round ${round}: the lock was given twice`);
      } catch (error) {
        if (!(error instanceof LockedError)) throw new Error(`round ${round}: no LockedError`, { cause: error });
        expect(error.message).not.toMatch(CONTROLS);
        if (error.message.includes(`process ${process.pid}`)) named++;
      }
    }
    release();
    expect(named).toBeGreaterThan(0);
    expect(named).toBeLessThan(ROUNDS);
  },
  TIMEOUT_MS,
);

test(
  "what was measured on a GPU",
  async () => {
    const own = join(folder.path, "measured");
    const fastest = { fastest: "relu_forward", ms: { relu_forward: 0.5 } };
    const first = new Measurements(own, "a device", () => {});
    first.add(reluForward, "4 × 4", fastest);
    first.parallelWorkgroups = 12;
    await first.close();
    const file = join(own, readdirSync(own)[0]!);
    const whole = readFileSync(file);
    let good = 0;
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(file, mutate(whole, round));
      const warnings: string[] = [];
      const measured = new Measurements(own, "a device", (line) => warnings.push(line));
      // What is not refused can be used.
      const choice = measured.choice(reluForward, "4 × 4");
      if (choice) expect(typeof choice.fastest).toBe("string");
      const { parallelWorkgroups: count } = measured;
      if (count !== undefined) expect(Number.isSafeInteger(count) && count > 0).toBe(true);
      for (const line of warnings) expect(line).not.toMatch(CONTROLS);
      if (warnings.length === 0) good++;
    }
    expect(good).toBeGreaterThan(0);
    expect(good).toBeLessThan(ROUNDS);
  },
  TIMEOUT_MS,
);

describe("the dashboard", () => {
  const AT_ONCE = 20;
  /** A request that lacks its end waits for it: so long. */
  const PATIENCE_MS = 50;

  /** Sends bytes, and returns the beginning of what is answered, if anything is. */
  function send(port: number, bytes: Uint8Array, patienceMs = PATIENCE_MS): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(port, "127.0.0.1", () => void socket.write(bytes));
    const end = (answer: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(end, patienceMs, "");
    socket.on("data", (data) => end(data.toString("latin1", 0, 32)));
    socket.on("error", () => end(""));
    socket.on("close", () => end(""));
    return promise;
  }

  test(
    "requests",
    async () => {
      const dashboard = openDashboard();
      const { port, pathname } = new URL(dashboard.url);
      const token = pathname.replaceAll("/", "");
      const requests = [`GET /${token}/state?charts=1&dark=1`, `POST /${token}/pause`, `GET /${token}/`].map((line) =>
        Buffer.from(`${line} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 0\r\nAccept: */*\r\n\r\n`),
      );
      for (let round = 0; round < ROUNDS; round += AT_ONCE) {
        const sent = Array.from({ length: AT_ONCE }, (_, i) => mutate(requests[(round + i) % 3]!, round + i));
        const answers = await Promise.all(sent.map((bytes) => send(Number(port), bytes)));
        for (const [i, answer] of answers.entries()) {
          expect(answer).toMatch(/^$|^HTTP\/1\.1 (2\d\d|4\d\d|505) /);
          // Nobody gets anything without the token.
          if (/^HTTP\/1\.1 2/.test(answer)) expect(Buffer.from(sent[i]!).toString("latin1")).toContain(token);
        }
        // Nor does anything end the training, or the answers to who knows it.
        expect(dashboard.signal.aborted).toBe(false);
        expect(await send(Number(port), requests[0]!, 10_000)).toStartWith("HTTP/1.1 200 ");
      }
      await dashboard.close();
    },
    TIMEOUT_MS,
  );
});
