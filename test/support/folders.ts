/** Folders that a test makes, and what lies in them. */
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A folder that `remove` deletes again, with all that is in it. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "alexnet-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Contents by path. */
export type Files = Readonly<Record<string, Uint8Array | string>>;

export async function writeFiles(root: string, files: Files): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), contents);
  }
}
