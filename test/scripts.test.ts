/** The shell scripts, of which most are only run by hand. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const scripts = [".ci/run", ...new Bun.Glob("{bench,kernels,packaging,test}/**/*.sh").scanSync(ROOT)].sort();
const bash = Bun.which("bash");

test("there are some", () => {
  expect(scripts.length).toBeGreaterThan(15);
});

test.skipIf(!bash).each(scripts)("%s is a script that bash can read", (script) => {
  const { exitCode, stderr } = Bun.spawnSync([bash!, "-n", join(ROOT, script)], { stderr: "pipe" });
  expect(stderr.toString()).toBe("");
  expect(exitCode).toBe(0);
});
