/**
 * Installs missing peers into `.cache/peers`: the packages in package.json with npm, and those in requirements.txt into a
 * virtual environment of the Python on the PATH. None becomes part of the project. With PEERS_PYTHON set, no Python
 * packages are installed.
 *
 *   bun bench/peers/setup.ts [js | python]
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../src/errors.ts";
import { lacksPackages } from "../npm_packages.ts";
import { FOLDER, missingInPython, PYTHON } from "./contestants.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** @throws UsageError when an installer is missing or fails */
export async function installPeers(which: readonly string[] = []): Promise<void> {
  const wrong = which.find((name) => name !== "js" && name !== "python");
  if (wrong !== undefined) throw new UsageError(`"${wrong}": must be js or python`);
  mkdirSync(FOLDER, { recursive: true });
  if (which.length === 0 || which.includes("js")) await installPackages();
  if (which.length === 0 || which.includes("python")) await installPython();
}

async function installPackages(): Promise<void> {
  if (lacksPackages(join(HERE, "package.json"), FOLDER)) await command([process.execPath, "install", "--no-save"]);
}

async function installPython(): Promise<void> {
  if (process.env.PEERS_PYTHON !== undefined) return;
  if (!existsSync(PYTHON)) {
    const python = Bun.which("python3") ?? Bun.which("python");
    if (!python) throw new UsageError("there is no python3 on the PATH to make a virtual environment with");
    await command([python, "-m", "venv", join(FOLDER, "venv")]);
  }
  if (missingInPython(["torch", "torchvision", "jax", "numpy", "PIL", "safetensors"]) === undefined) return;
  await command([PYTHON, "-m", "pip", "install", "-r", join(HERE, "requirements.txt")]);
}

async function command(words: string[]): Promise<void> {
  process.stderr.write(`${words.join(" ")}\n`);
  const status = await Bun.spawn(words, { cwd: FOLDER, stdin: "ignore", stdout: "inherit", stderr: "inherit" }).exited;
  if (status !== 0) throw new UsageError(`${words.join(" ")}: failed with status ${status}`);
}

if (import.meta.main) {
  try {
    await installPeers(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
