/** The README's example of the library runs as it stands, and says what its comments say. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./support/folders.ts";

const ROOT = new URL("../", import.meta.url);

test("the example in README.md", async () => {
  const readme = await Bun.file(new URL("README.md", ROOT)).text();
  const code = /```ts\n([^]*?)```/.exec(readme)?.[1];
  if (!code) throw new Error("README.md has no ```ts block");
  const { path: folder, remove } = temporaryFolder();
  try {
    const file = join(folder, "example.ts");
    writeFileSync(file, code.replace("./src/index.ts", new URL("src/index.ts", ROOT).href));
    const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, file], { cwd: folder });
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
    const loss = Number(/Float32Array\(1\) \[ ([\d.]+) \]/.exec(stdout.toString())?.[1]);
    expect(loss).toBeWithin(2, 2.6);
    expect(stdout.toString()).toContain("Float32Array(216)");
  } finally {
    remove();
  }
}, 30_000);
