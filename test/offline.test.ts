/**
 * Once it is set up, nothing needs a network: commands run in a network namespace that has no interface and no route.
 * Linux alone has such namespaces; where the system does not permit one, the tests are skipped by name.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jsonLines, TINY } from "./support/cli.ts";
import { temporaryFolder } from "./support/folders.ts";
import { endOf, type Ended } from "./support/processes.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

/** How a process is put into such a namespace: as root, or as a user that is root in it; undefined where neither goes. */
function isolation(): string[] | undefined {
  if (process.platform !== "linux" || !Bun.which("unshare")) return undefined;
  return [
    ["unshare", "--net"],
    ["unshare", "--map-root-user", "--net"],
  ].find((command) => Bun.spawnSync([...command, "true"], { stderr: "ignore" }).success);
}

const isolated = isolation();

/** Runs a file of src/, or a text with -e, without a network. */
async function offline(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = Bun.spawn([...isolated!, process.execPath, ...args], {
    cwd: folder.path,
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  return endOf(child);
}

const command = (...args: string[]) => offline([join(SOURCE, "main.ts"), ...args]);

const reason = isolated ? "" : " (skipped: no network namespaces here)";
describe.skipIf(!isolated)(`without a network${reason}`, () => {
  test("there is none", async () => {
    const script = `await Bun.connect({ hostname: "192.0.2.1", port: 80, socket: { data() {} } })`;
    const { code, stderr } = await offline(["-e", script]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ENETUNREACH|Failed to connect/);
  });

  test("set-up has nothing to do", async () => {
    expect(await offline([join(SOURCE, "setup.ts")])).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("the built-in set is learned, evaluated, shown and predicted", async () => {
    const training = await command("train", ...TINY, "--limit", "64", "--epochs", "1", "--out", "run", "--json");
    expect(training).toMatchObject({ code: 0, stderr: "" });
    const { samples } = jsonLines(training.stdout).at(-1)!;
    expect(existsSync(join(folder.path, "run", "report.html"))).toBe(true);
    const evaluation = await command("evaluate", "--model", "run", "--device", "cpu", "--json");
    expect(evaluation).toMatchObject({ code: 0, stderr: "" });
    const prediction = await command("predict", samples, "--model", "run", "--device", "cpu", "--json");
    expect(prediction).toMatchObject({ code: 0, stderr: "" });
    expect(jsonLines(prediction.stdout).length).toBe(10);
  });

  test("the libraries that were fetched load", async () => {
    const { code, stdout, stderr } = await command("devices");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^cpu /m);
    expect(stdout).not.toContain("can't look for GPUs");
  });

  test("set-up that lacks them says so and goes on, and is silent about it for a day", async () => {
    const env = { ALEXNET_CACHE: join(folder.path, "empty"), WGPU_LIB_PATH: "", BLAS_LIB_PATH: "" };
    const { code, stdout, stderr } = await offline([join(SOURCE, "setup.ts")], env);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/^Fetching wgpu-native .*\n/);
    expect(stderr).toMatch(
      /\nContinuing without a GPU: wgpu-native .* can't be downloaded: .*Put the file at .* yourself, or set/,
    );
    expect(await offline([join(SOURCE, "setup.ts")], env)).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});
