/** How this program was installed, where its files are, and how its commands are called there. */
import { fileURLToPath } from "node:url";
import packageJson from "../package.json" with { type: "json" };

export const VERSION: string = packageJson.version;
export const DESCRIPTION: string = packageJson.description;

/** The folder that holds src/, kernels/ and models/. In an executable it is one that only this process can read. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/**
 * A checkout runs its TypeScript and prepares what it needs itself; packages and executables hold the same files as
 * packaging/build.ts made them.
 */
export const installation: "checkout" | "package" | "executable" = Bun.isStandaloneExecutable
  ? "executable"
  : import.meta.path.endsWith(".ts")
    ? "checkout"
    : "package";

/**
 * How a command is called here: `bun run train` in a checkout, `alexnet train` elsewhere.
 * @param start its name, and options and arguments that a shell takes as they are
 * @param words more of them, such as paths, each quoted where a shell would take it for something else
 */
export function command(start: string, ...words: readonly string[]): string {
  return [installation === "checkout" ? "bun run" : "alexnet", start, ...words.map(quoted)].join(" ");
}

function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  // In Windows' shells, a name can't contain a double quote, and single ones mean nothing.
  return process.platform === "win32" ? `"${word.replaceAll('"', "")}"` : `'${word.replaceAll("'", `'\\''`)}'`;
}
