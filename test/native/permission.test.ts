import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryFolder } from "../support/folders.ts";
import { endOf } from "../support/processes.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

/** Runs code in a process with an empty cache, whose downloads fail at once. */
async function run(code: string, env: Record<string, string> = {}) {
  const library = Bun.pathToFileURL(join(import.meta.dir, "../../src/index.ts")).href;
  const child = Bun.spawn([process.execPath, "-e", `import * as a from ${JSON.stringify(library)};${code}`], {
    cwd: folder.path,
    env: { ...process.env, ALEXNET_CACHE: folder.path, WGPU_LIB_PATH: "", BLAS_LIB_PATH: "", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  return endOf(child);
}

const fail = "const said = (error) => console.log(error.name + ': ' + error.message);";

test("the library downloads nothing unasked, and says what would", async () => {
  const { stdout, code } = await run(`${fail} await a.openDevice({ device: "gpu" }).catch(said);
    await a.train({ data: "cifar10" }).catch(said);`);
  const [gpu, cifar] = stdout.split("\n");
  expect(gpu).toMatch(/^DeviceError: wgpu-native .* is not at .*: run `bun src\/setup.ts`, put the file there, or set/);
  expect(cifar).toMatch(/^DataError: can't download .*: the library downloads nothing unasked: .*allowDownloads\(\)/);
  expect(code).toBe(0);
}, 60_000);

test("a missing GPU library is said once, by who looks for GPUs", async () => {
  const code =
    "for (let i = 0; i < 2; i++) await (await a.openDevice({ threads: 1 }).catch(() => a.openDevice())).close();";
  const { stderr } = await run(code);
  expect(stderr.match(/no GPU is used: run `bun src\/setup.ts` to fetch wgpu-native\n/g)).toHaveLength(1);
}, 60_000);

test("ALEXNET_OFFLINE forbids what was allowed", async () => {
  const { stdout } = await run(`${fail} a.allowDownloads(); await a.train({ data: "cifar10" }).catch(said);`, {
    ALEXNET_OFFLINE: "1",
  });
  expect(stdout).toMatch(/^DataError: can't download .*: ALEXNET_OFFLINE is set/);
}, 60_000);
