/** `bun test/portability/packages.ts`: installs the npm packages that only these checks need, and that are not there yet. */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where they are kept. */
export const FOLDER = fileURLToPath(new URL("../../.cache/portability/npm", import.meta.url));
const LIST = fileURLToPath(new URL("./package.json", import.meta.url));

/** @throws Error with what the installer says when it fails */
export async function installPackages(): Promise<void> {
  const { dependencies } = JSON.parse(readFileSync(LIST, "utf8")) as { dependencies: Record<string, string> };
  const isThere = Object.entries(dependencies).every(([name, version]) => {
    const file = join(FOLDER, "node_modules", name, "package.json");
    return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version;
  });
  if (isThere) return;
  mkdirSync(FOLDER, { recursive: true });
  copyFileSync(LIST, join(FOLDER, "package.json"));
  const install = Bun.spawn([process.execPath, "install", "--no-save"], {
    cwd: FOLDER,
    stdout: "ignore",
    stderr: "pipe",
  });
  const [said, status] = await Promise.all([new Response(install.stderr).text(), install.exited]);
  if (status !== 0) throw new Error(`bun install in ${FOLDER} failed: ${said.trim()}`);
}

if (import.meta.main) await installPackages();
