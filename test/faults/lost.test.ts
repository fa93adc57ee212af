/**
 * A driver that reports its device lost, as after a reset; in some calls wgpu-native would then end the process. The
 * driver is lavapipe behind `lost/driver.c`.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expectSameRun } from "../support/faults.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { endOf } from "../support/processes.ts";

// A software GPU is slow on a busy machine.
setDefaultTimeout(300_000);

const MANIFESTS = "/usr/share/vulkan/icd.d";
const lavapipe = lavapipeDriver();
const compiler = Bun.which("cc") ?? Bun.which("gcc");
const missing =
  process.platform !== "linux" ? "only on Linux" : !lavapipe ? "no lavapipe" : !compiler ? "no C compiler" : undefined;

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const path = (name: string) => fileURLToPath(new URL(`lost/${name}`, import.meta.url));

/** lavapipe's library, from its manifest for the Vulkan loader. */
function lavapipeDriver(): string | undefined {
  try {
    const manifest = readdirSync(MANIFESTS).find((name) => name.startsWith("lvp_icd"));
    return manifest && JSON.parse(readFileSync(join(MANIFESTS, manifest), "utf8")).ICD.library_path;
  } catch {
    return undefined;
  }
}

/** Runs `lost/child.ts`. @returns its lines on standard output */
async function lose(...args: string[]): Promise<string[]> {
  const env = {
    ...process.env,
    VK_DRIVER_FILES: at("driver.json"),
    // The variable's name in loaders before 2022.
    VK_ICD_FILENAMES: at("driver.json"),
    REAL_DRIVER: lavapipe,
    LOSE_FILE: at("lose"),
  };
  const child = Bun.spawn([process.execPath, path("child.ts"), ...args], { env, stdout: "pipe", stderr: "pipe" });
  const { code, stdout, stderr } = await endOf(child);
  expect(code, stderr).toBe(0);
  return stdout.trimEnd().split("\n");
}

describe.skipIf(missing !== undefined)(
  `a driver that loses its device${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    beforeAll(async () => {
      await makePhotos(at("photos"), 2, 9);
      const build = Bun.spawnSync([compiler!, "-shared", "-fPIC", "-o", at("driver.so"), path("driver.c"), "-ldl"]);
      expect(build.exitCode, String(build.stderr)).toBe(0);
      const manifest = { file_format_version: "1.0.0", ICD: { library_path: at("driver.so"), api_version: "1.1.0" } };
      await Bun.write(at("driver.json"), JSON.stringify(manifest));
    });

    test.each([
      ["synchronize", "DeviceLostError"],
      ["read", "DeviceLostError"],
      ["write", "DeviceLostError"],
      ["flush", "DeviceLostError"],
      ["profile", "DeviceLostError"],
      ["tune", "DeviceLostError"],
      ["close", "no error"],
    ])("%s: %s, and the process goes on", async (point, outcome) => {
      for (const clock of ["timestamps", "host"]) expect(await lose(point, at("tuning"), clock)).toEqual([outcome]);
    });

    test("a training reopens it, and continues to the same bytes", async () => {
      const lines = await lose("train", folder.path);
      expect(lines).toEqual([
        expect.stringMatching(/the device is lost .*: reopening it, and continuing from the last save$/),
      ]);
      expectSameRun(at("lost"), at("whole"));
    });
  },
);
