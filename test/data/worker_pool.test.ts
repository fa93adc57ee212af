import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { WorkerPool } from "../../src/data/worker_pool.ts";
import { AlexNetError } from "../../src/errors.ts";
import type { Job } from "./pool_worker.ts";

setDefaultTimeout(120_000);

const url = new URL("./pool_worker.ts", import.meta.url);
const made: WorkerPool<Job, number>[] = [];
function start(count: number): WorkerPool<Job, number> {
  const threads = new WorkerPool<Job, number>(url, count);
  made.push(threads);
  return threads;
}
afterAll(() => made.forEach((threads) => threads.close()));

async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was done");
}

describe("jobs", () => {
  test.each([1, 3])("all are done by %i threads, each with its own result", async (count) => {
    const threads = start(count);
    expect(threads.count).toBe(count);
    const results = await Promise.all(Array.from({ length: 50 }, (_, k) => threads.run({ double: k, afterMs: k % 3 })));
    expect(results).toEqual(Array.from({ length: 50 }, (_, k) => 2 * k));
  });

  test("what is not wanted any more when its turn comes is left out", async () => {
    const threads = start(1);
    let wanted = true;
    const asked: number[] = [];
    const jobs = Array.from({ length: 6 }, (_, k) =>
      threads.run({ double: k, afterMs: 20 }, () => {
        asked.push(k);
        return wanted;
      }),
    );
    await jobs[0];
    wanted = false;
    // One was at the worker's door, and another was sent after the first.
    expect(await Promise.all(jobs)).toEqual([0, 2, 4, undefined, undefined, undefined]);
    expect(asked).toEqual([0, 1, 2, 3, 4, 5]);
    wanted = true;
    expect(await threads.run({ double: 21 })).toBe(42);
  });
});

describe("errors", () => {
  test("of a job reject it alone: those a user can cause stay so, others stay mistakes of the program", async () => {
    const threads = start(1);
    const [expected, bug, text, good] = [
      rejection(threads.run({ fail: "expected" })),
      rejection(threads.run({ fail: "bug" })),
      rejection(threads.run({ fail: "text" })),
      threads.run({ double: 4 }),
    ];
    expect(await expected).toBeInstanceOf(AlexNetError);
    expect((await expected).message).toBe("a file is missing");
    expect(await bug).not.toBeInstanceOf(AlexNetError);
    expect((await bug).message).toBe("a mistake");
    // Where it was thrown.
    expect((await bug).stack).toContain("pool_worker.ts");
    expect((await text).message).toBe("only text");
    expect(await good).toBe(8);
  });

  test("outside of a job reject all jobs, those that wait and those that come", async () => {
    const threads = start(1);
    const jobs: Job[] = [{ crash: true }, { double: 1 }, { double: 2 }, { double: 3 }];
    const message = "a worker thread failed: error: out of order";
    const errors = await Promise.all(jobs.map((job) => rejection(threads.run(job))));
    expect(errors.map((error) => error.message)).toEqual(jobs.map(() => message));
    expect((await rejection(threads.run({ double: 1 }))).message).toBe(message);
  });
});

test("a reply that comes after another thread has died is left out", async () => {
  const file = JSON.stringify(join(import.meta.dir, "../../src/data/worker_pool.ts"));
  const script = `
    import { WorkerPool } from ${file};
    const threads = new WorkerPool(new URL(${JSON.stringify(url.href)}), 2);
    const jobs = [{ crash: true }, { double: 3, afterMs: 300 }].map((job) => threads.run(job));
    const settled = await Promise.allSettled(jobs);
    await Bun.sleep(1000);
    console.log(settled.map(({ status }) => status).join());
    process.exit();
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "ignore" });
  expect(await new Response(child.stdout).text()).toBe("rejected,rejected\n");
  expect(await child.exited).toBe(0);
});

test("a process with idle threads ends by itself, and waits for jobs that it gave", async () => {
  const file = (path: string) => JSON.stringify(join(import.meta.dir, path));
  const script = `
    import { WorkerPool } from ${file("../../src/data/worker_pool.ts")};
    const threads = new WorkerPool(new URL(${JSON.stringify(url.href)}), 2);
    threads.run({ double: 3, afterMs: 100 }).then((result) => console.log(result));
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
  const kill = setTimeout(() => child.kill("SIGKILL"), 60_000);
  expect(await new Response(child.stdout).text()).toBe("6\n");
  await child.exited;
  clearTimeout(kill);
  expect([child.exitCode, await new Response(child.stderr).text()]).toEqual([0, ""]);
});
