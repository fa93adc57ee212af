/** Two processes, and two parts of one, that want the same folder. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { AlexNetError } from "../../src/errors.ts";
import { LOCK_FILES, LockedError, lockFolder } from "../../src/io/lock.ts";
import { temporaryFolder } from "../support/folders.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const never = (line: string) => expect.unreachable(line);
const make = (name: string) => {
  mkdirSync(join(folder.path, name));
  return join(folder.path, name);
};

/** A process that locks a folder, says so, and holds it until it is killed. */
function holder(path: string) {
  const lock = new URL("../../src/io/lock.ts", import.meta.url).href;
  const code = `
    import { lockFolder } from ${JSON.stringify(lock)};
    try {
      // A lock that nothing refers to is given back.
      globalThis.lock = lockFolder(${JSON.stringify(path)}, () => {});
      console.log("held");
      // Longer than any of these tests, but not for ever where one of them fails.
      setTimeout(() => {}, 120_000);
    } catch (error) {
      console.log(error.message);
    }`;
  return Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "inherit" });
}

async function firstLine(child: ReturnType<typeof holder>): Promise<string> {
  for await (const chunk of child.stdout as ReadableStream<Uint8Array>) return new TextDecoder().decode(chunk).trim();
  return "";
}

test("it is held once, says by whom, and leaves an empty file behind", () => {
  const path = make("one");
  writeFileSync(join(path, "other"), "");
  const lock = lockFolder(path, never);
  expect(() => lockFolder(path, never)).toThrow(LockedError);
  expect(() => lockFolder(path, never)).toThrow(
    new RegExp(`one is in use by process ${process.pid} on ${hostname()}, since \\d{4}-\\d\\d-\\d\\d [\\d:]{8} UTC: `),
  );
  lock.release();
  expect(readdirSync(path).sort()).toEqual(["lock", "other"]);
  const again = lockFolder(path, never);
  // The one that was given back is not this one's.
  lock.release();
  expect(() => lockFolder(path, never)).toThrow(LockedError);
  again.release();
});

test("another process is refused, and after SIGKILL of the holder it is not", async () => {
  const path = make("killed");
  const child = holder(path);
  expect(await firstLine(child)).toBe("held");
  expect(() => lockFolder(path, never)).toThrow(`killed is in use by process ${child.pid} on ${hostname()}, since `);
  child.kill("SIGKILL");
  await child.exited;
  expect(readdirSync(path).sort()).toEqual([...LOCK_FILES].sort());
  const lock = lockFolder(path, never);
  expect(JSON.parse(readFileSync(join(path, "lock.json"), "utf8")).process).toBe(process.pid);
  lock.release();
  expect(readdirSync(path)).toEqual(["lock"]);
});

test("of many that come at once exactly one gets it, time and again", async () => {
  const path = make("many");
  for (let round = 0; round < 3; round++) {
    const children = Array.from({ length: 6 }, () => holder(path));
    const lines = await Promise.all(children.map(firstLine));
    expect(lines.filter((line) => line === "held").length, lines.join("; ")).toBe(1);
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(({ exited }) => exited));
  }
});

test("who takes and gives back all the time never holds it together with another", async () => {
  const path = make("turns");
  const inside = join(folder.path, "inside");
  const lock = new URL("../../src/io/lock.ts", import.meta.url).href;
  const ready = (child: number | string) => join(folder.path, `ready-${child}`);
  const [CHILDREN, TURNS] = [3, 100];
  const code = (child: number) => `
    import { openSync, closeSync, existsSync, rmSync, writeFileSync } from "node:fs";
    import { lockFolder, LockedError } from ${JSON.stringify(lock)};
    // They begin together.
    writeFileSync(${JSON.stringify(ready(child))}, "");
    const others = Array.from({ length: ${CHILDREN} }, (_, i) => ${JSON.stringify(ready(""))} + i);
    while (!others.every((path) => existsSync(path))) Bun.sleepSync(1);
    for (let turns = 0; turns < ${TURNS}; ) {
      try {
        const lock = lockFolder(${JSON.stringify(path)}, () => process.exit(3));
        closeSync(openSync(${JSON.stringify(inside)}, "wx"));
        rmSync(${JSON.stringify(inside)});
        lock.release();
        turns++;
      } catch (error) {
        if (!(error instanceof LockedError)) throw error;
      }
    }`;
  const children = Array.from({ length: CHILDREN }, (_, child) =>
    Bun.spawn([process.execPath, "-e", code(child)], { stderr: "pipe" }),
  );
  for (const child of children) {
    expect(await new Response(child.stderr).text()).toBe("");
    expect(await child.exited).toBe(0);
  }
  expect(existsSync(inside)).toBe(false);
  expect(readdirSync(path)).toEqual(["lock"]);
});

test("a folder that is not there, or a lock that is something else, is an error and no lock", () => {
  expect(() => lockFolder(join(folder.path, "none"), never)).toThrow(/can't write to .*none: no such file or folder/);
  const path = make("odd");
  mkdirSync(join(path, "lock"));
  expect(() => lockFolder(path, never)).toThrow(AlexNetError);
  const text = make("text");
  writeFileSync(join(text, "lock"), "some notes of mine".repeat(100));
  expect(() => lockFolder(text, never)).toThrow(AlexNetError);
  expect(readFileSync(join(text, "lock"), "utf8")).toStartWith("some notes of mine");
});
