/** What is temporary goes away: when it is done with, and when a signal ends the process. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../../src/io/temporary.ts";
import * as helpers from "../support/folders.ts";

const parent = helpers.temporaryFolder();
afterAll(parent.remove);
const MODULE = fileURLToPath(new URL("../../src/io/temporary.ts", import.meta.url));

test("a folder is there until it is removed, and leaves no listener behind", () => {
  const [before, exits] = [process.listenerCount("SIGINT"), process.listenerCount("exit")];
  const [a, b] = [temporaryFolder("a-", parent.path), temporaryFolder("b-", parent.path)];
  expect(existsSync(a.path) && existsSync(b.path)).toBe(true);
  a.remove();
  expect(existsSync(a.path)).toBe(false);
  expect(process.listenerCount("SIGINT")).toBe(before + 1);
  b.remove();
  expect(process.listenerCount("SIGINT")).toBe(before);
  expect(process.listenerCount("exit")).toBe(exits);
  expect(readdirSync(parent.path)).toEqual([]);
});

test("a process that exits in the middle of its work takes its folders with it", async () => {
  const source = `
    const { temporaryFolder } = await import(${JSON.stringify(MODULE)});
    const [a, b] = ["a-", "b-"].map((prefix) => temporaryFolder(prefix, ${JSON.stringify(parent.path)}));
    a.remove();
    console.log(b.path);
    process.exit(3);`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "ignore" });
  const path = (await new Response(child.stdout).text()).trim();
  expect(await child.exited).toBe(3);
  expect(path).toStartWith(parent.path);
  expect(existsSync(path)).toBe(false);
});

// Windows ends a process without asking it.
describe.skipIf(process.platform === "win32")("a process that has one", () => {
  /** Starts it. */
  async function start(...through: string[]) {
    const source = `
      const { temporaryFolder } = await import(${JSON.stringify(MODULE)});
      console.log(temporaryFolder("s-", ${JSON.stringify(parent.path)}).path);
      setInterval(() => {}, 1000);`;
    const child = Bun.spawn([...through, process.execPath, "-e", source], { stdout: "pipe", stderr: "ignore" });
    const { value } = await child.stdout.getReader().read();
    const path = new TextDecoder().decode(value).trim();
    expect(existsSync(path)).toBe(true);
    return { child, path };
  }

  async function endsBy(signal: "SIGINT" | "SIGTERM" | "SIGHUP", { child, path }: Awaited<ReturnType<typeof start>>) {
    child.kill(signal);
    await child.exited;
    expect(child.signalCode).toBe(signal);
    expect(existsSync(path)).toBe(false);
  }

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s ends it, and the folder with it", async (signal) => {
    await endsBy(signal, await start());
  });

  test("under nohup it outlives the terminal", async () => {
    const started = await start("nohup");
    started.child.kill("SIGHUP");
    await Bun.sleep(200);
    expect(existsSync(started.path)).toBe(true);
    await endsBy("SIGTERM", started);
  });
});
