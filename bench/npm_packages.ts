/** npm packages that are no part of the project, in folders of their own. */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Whether a folder lacks packages of a list, in these versions; the list is then put there, for `bun install --no-save`.
 * @param list a package.json
 */
export function lacksPackages(list: string, folder: string): boolean {
  const { dependencies } = JSON.parse(readFileSync(list, "utf8")) as { dependencies: Record<string, string> };
  const areThere = Object.entries(dependencies).every(([name, version]) => {
    const file = join(folder, "node_modules", name, "package.json");
    return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version;
  });
  if (areThere) return false;
  mkdirSync(folder, { recursive: true });
  copyFileSync(list, join(folder, "package.json"));
  return true;
}
