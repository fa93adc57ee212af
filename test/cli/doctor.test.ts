/** The doctor's output as pasted into a bug report: complete, narrow, and without private paths. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, cpSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../src/native/cache.ts";
import { OPENBLAS, WGPU, type NativeLibrary } from "../../src/native/table.ts";
import { cli, jsonLines } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";

// Every kernel and two trainings, possibly on a busy machine.
setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const project = fileURLToPath(new URL("../../", import.meta.url)).replace(/[\\/]$/, "");
const platform = `${process.platform}-${process.arch}`;
const run = (args: readonly string[], env: Record<string, string> = {}) => cli(args, { cwd: folder.path, env });

/** A cache folder whose fetched libraries have an extra byte. */
function changedCache(): string {
  const cache = join(folder.path, "secret-place");
  cpSync(cacheFolder("native"), join(cache, "native"), { recursive: true });
  for (const { name, version, builds } of [WGPU, OPENBLAS] satisfies NativeLibrary[]) {
    const build = builds[platform];
    if (build) appendFileSync(join(cache, "native", `${name}-${version}-${platform}`, build.file), "x");
  }
  return cache;
}

test("as JSON: machine, libraries, devices, then the trials; --verbose prints paths", async () => {
  const { code, stdout } = await run(["doctor", "--device", "cpu", "--json", "--verbose"]);
  const findings = jsonLines(stdout);
  const of = (type: string) => findings.filter((finding) => finding.type === type);
  expect(of("problem")).toEqual([]);
  expect(code).toBe(0);
  expect(of("machine")).toMatchObject([{ bun: Bun.version, cores: navigator.hardwareConcurrency }]);
  const [{ disks }] = of("machine") as [{ disks: { path: string }[] }];
  expect(disks.map(({ path }) => path)).toEqual([realpathSync(folder.path), cacheFolder("native")]);
  expect(of("library").map(({ use }) => use)).toEqual([
    ...["GPUs", "matrix products on the cpu", "JPEG", "other images", "pictures", "trainings on several devices"],
  ]);
  // Libraries that are not pinned are identified by their hash.
  for (const { origin, sha256, path } of of("library")) {
    if (origin === "pinned") expect(sha256).toBeUndefined();
    else if (path?.startsWith("/")) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  }
  const devices = of("device").map(({ device }) => device);
  expect([["cpu"], ["cpu", "cpu --blas off"]]).toContainEqual(devices);
  expect(of("kernels").map(({ device }) => device)).toEqual(devices);
  for (const { kernels, cases, wrong } of of("kernels")) {
    expect(wrong).toEqual([]);
    expect(kernels).toBeGreaterThan(30);
    expect(cases).toBeGreaterThan(300);
  }
  expect(of("training").map(({ device }) => device)).toEqual(devices);
  for (const { firstLoss, loss, bound, result } of of("training")) {
    expect(firstLoss).toBeGreaterThan(2);
    // A busy machine may not get there in a minute.
    expect(["learned", "slow"]).toContain(result);
    if (result === "learned") expect(loss).toBeLessThan(bound);
  }
  expect(findings.at(-1)).toMatchObject({ type: "end", problems: 0 });
});

describe("with modified libraries", () => {
  const cache = changedCache();
  const hasOpenBlas = OPENBLAS.builds[platform] !== undefined;

  test("for people: problems and fixes, in 80 columns, without private paths", async () => {
    const env = { ALEXNET_CACHE: cache, NO_COLOR: "1" };
    const { code, stdout } = await run(["doctor", "--device", "cpu"], env);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^alexnet \d+\.\d+\.\d+/);
    for (const line of stdout.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
    expect(stdout).not.toContain("\x1b");
    for (const path of [folder.path, project, homedir() + "/"]) expect(stdout).not.toContain(path);
    const flowing = stdout.replace(/\s+/g, " ");
    expect(flowing).toContain("environment ALEXNET_CACHE is set");
    expect(flowing).toContain(`wgpu-native unusable`);
    expect(flowing).toMatch(
      new RegExp(
        `\\d problems? 1\\. wgpu-native ${WGPU.version} is not the published file: the SHA-256 of ` +
          `\\$ALEXNET_CACHE.*wgpu_native.* is [0-9a-f]{64}, not [0-9a-f]{64} Fix: delete it to have it downloaded again`,
      ),
    );
    // The other devices are tried all the same.
    expect(flowing).toMatch(/Trials .* cpu kernels correct: .* cpu (learns|too slow to tell): loss/);
  });

  test("other commands refuse them in one line", async () => {
    const env = { ALEXNET_CACHE: cache };
    for (const [args, name] of [
      [["devices"], "wgpu-native"],
      [["train", "--device", "gpu", "--epochs", "1"], "wgpu-native"],
      ...(hasOpenBlas && process.env.BLAS_LIB_PATH === undefined
        ? [[["train", "--device", "cpu", "--epochs", "1"], "openblas"] as const]
        : []),
    ] as const) {
      const { code, stderr } = await run(args, env);
      // With a BLAS of the system, the fetched one is not used.
      if (name === "openblas" && code === 0) continue;
      expect(stderr).toMatch(new RegExp(`^error: ${name} .* is not the published file: .*\\n$`));
      expect(code).toBe(1);
    }
  });
});

test("a missing device, and an unknown option", async () => {
  const absent = await run(["doctor", "--device", "gpu:nothing"]);
  expect(absent.stderr).toMatch(/^error: no GPU /);
  expect(absent.code).toBe(1);
  const wrong = await run(["doctor", "--devise", "cpu"]);
  expect(wrong.stderr).toMatch(/^error: unknown option --devise; did you mean "--device"\?/);
  expect(wrong.code).toBe(2);
});
