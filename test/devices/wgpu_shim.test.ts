import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileShim } from "../../src/devices/wgpu/shim.ts";
import { DeviceError } from "../../src/errors.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";

const folder = temporaryFolder("shim-");
afterAll(() => folder.remove());

/** The error that compiling `text` ends in. */
function failureOf(text: string): unknown {
  const path = join(folder.path, "shim.c");
  writeFileSync(path, text);
  try {
    compileShim(path);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("a shim that can't be compiled is an error of one line", () => {
  test.each([
    // What a shim must not do: the C library is not there to link with, even where the machine has it.
    ["calls the C library", "int strlen(const char *); int f(void) { return strlen(0); }", /reference to 'strlen'/],
    ["is no C", "int f(void) {", /shim\.c:1: error: /],
  ])("it %s", (_how, text, said) => {
    const error = failureOf(text) as DeviceError;
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toMatch(/^Bun \S+ can't compile the C code for GPUs on \w+ \w+: /);
    expect(error.message).toMatch(said);
    expect(error.message).toEndWith(': use device: "cpu", or another version of Bun');
    expect(error.message).not.toContain("\n");
  });
});

// Where a distribution keeps what programs are built with. On a machine without it there is nothing to hide.
const headers = ["/usr/include", "/usr/local/include"].filter((path) => existsSync(path));
const libraries = process.platform === "linux" ? globSync("/{usr/,}lib{64,}/{*/,}{libc.{so,a},crt[1in].o}") : [];

/** Runs `command` where nobody else sees what it mounts. */
const alone = (command: string) => Bun.spawnSync(["unshare", "--map-root-user", "--mount", "sh", "-ec", command]);
const canHide =
  process.platform === "linux" && Bun.which("unshare") !== null && alone("mount -t tmpfs none /mnt").success;

test.skipIf(!canHide)(
  `it compiles where there is neither header nor library${canHide ? "" : " (skipped: no mount namespace may be made)"}`,
  () => {
    // A file can't be taken away by a mount, but made into something else.
    const junk = join(folder.path, "junk");
    writeFileSync(junk, "no library");
    const hide = [
      ...headers.map((path) => `mount -t tmpfs none ${path}`),
      ...libraries.map((path) => `mount --bind ${junk} ${path}`),
    ];
    const load = 'console.log(Object.keys((await import("./src/devices/wgpu/shim.ts")).loadShim()).length)';
    const { stdout, stderr } = alone(`${hide.join("\n")}\n'${process.execPath}' -e '${load}'`);
    expect(stderr.toString()).toBe("");
    expect(Number(stdout)).toBeGreaterThan(0);
  },
);
