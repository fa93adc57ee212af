/** `bun test/portability/packages.ts`: installs the npm packages that only these checks need, and that are not there yet. */
import { fileURLToPath } from "node:url";
import { lacksPackages } from "../../bench/npm_packages.ts";

/** Where they are kept. */
export const FOLDER = fileURLToPath(new URL("../../.cache/portability/npm", import.meta.url));
const LIST = fileURLToPath(new URL("./package.json", import.meta.url));

/** @throws Error with what the installer says when it fails */
export async function installPackages(): Promise<void> {
  if (!lacksPackages(LIST, FOLDER)) return;
  const install = Bun.spawn([process.execPath, "install", "--no-save"], {
    cwd: FOLDER,
    stdout: "ignore",
    stderr: "pipe",
  });
  const [said, status] = await Promise.all([new Response(install.stderr).text(), install.exited]);
  if (status !== 0) throw new Error(`bun install in ${FOLDER} failed: ${said.trim()}`);
}

if (import.meta.main) await installPackages();
