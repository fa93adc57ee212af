import { afterAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../support/folders.ts";
import { endOf } from "../support/processes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { path: folder, remove } = temporaryFolder();
afterAll(remove);

async function setup(project: string): Promise<{ said: string; status: number | null }> {
  const child = Bun.spawn([process.execPath, join(project, "src/setup.ts")], { stdout: "pipe", stderr: "pipe" });
  const { code, stdout, stderr } = await endOf(child);
  return { said: stdout + stderr, status: code };
}

test("setup says nothing when everything is in place", async () => {
  await setup(root);
  expect(await setup(root)).toEqual({ said: "", status: 0 });
}, 120_000);

test("setup says what it does, and why it failed", async () => {
  mkdirSync(join(folder, "src"));
  cpSync(join(root, "src/setup.ts"), join(folder, "src/setup.ts"));
  writeFileSync(join(folder, "package.json"), `{ "dependencies": { "consola": "3.4.2" } }`);
  writeFileSync(join(folder, "bun.lock"), "not a lockfile");
  const { said, status } = await setup(folder);
  expect(said).toStartWith("Installing packages\nbun install failed with status 1:\n");
  expect(status).toBe(1);
}, 60_000);

test.skipIf(!existsSync("/dev/full"))(
  "setup does its work also where what it says can't be written",
  async () => {
    const project = join(folder, "full");
    for (const below of ["src/wasm", "src/native", "node_modules"]) {
      mkdirSync(join(project, below), { recursive: true });
    }
    cpSync(join(root, "src/setup.ts"), join(project, "src/setup.ts"));
    writeFileSync(join(project, "bun.lock"), "");
    // Its packages are there.
    writeFileSync(join(project, "node_modules/.bun-lock-sha256"), new Bun.SHA256().update("").digest("hex"));
    const done = join(project, "done");
    const writes = `Bun.write(${JSON.stringify(done)}, "")`;
    writeFileSync(
      join(project, "src/wasm/build.ts"),
      `export const buildKernels = async (say) => { say("Compiling"); await Bun.sleep(50); };`,
    );
    writeFileSync(
      join(project, "src/native/libraries.ts"),
      `export const provideWgpu = async () => {}; export const provideBlas = async () => { await ${writes}; };`,
    );
    const child = Bun.spawn([
      "sh",
      "-c",
      `exec "$0" "$1" 2> /dev/full`,
      process.execPath,
      join(project, "src/setup.ts"),
    ]);
    expect(await child.exited).toBe(0);
    expect(existsSync(done)).toBe(true);
  },
  60_000,
);
