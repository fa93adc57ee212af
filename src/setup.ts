/**
 * Runs before every `bun run …`: installs packages, compiles the CPU kernels and downloads native libraries, each only
 * if missing or out of date. Reports what it does on stderr; silent when there is nothing to do. Until the packages are
 * installed, it imports only what comes with Bun.
 */
import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { OnProgress } from "./native/libraries.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

const LONGEST_SETUP_MS = 600_000;

// A closed stderr must not stop setup.
process.stderr.on("error", () => {});

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * When several processes start at once, as under mpiexec, one sets up while the others wait. The lock is SQLite's, released
 * when the process ends; in a read-only folder there is no lock, and nothing to set up.
 */
function waitForTurn(): Database | undefined {
  try {
    mkdirSync(`${ROOT}.cache`, { recursive: true });
    const database = new Database(`${ROOT}.cache/setup.lock`, { create: true, readwrite: true });
    database.run(`PRAGMA busy_timeout = ${LONGEST_SETUP_MS}`);
    database.run("PRAGMA journal_mode = MEMORY");
    database.run("BEGIN EXCLUSIVE");
    return database;
  } catch {
    return undefined;
  }
}

/** Installs the packages in bun.lock, unless already done. */
async function installPackages(): Promise<void> {
  const lock = createHash("sha256")
    .update(readFileSync(`${ROOT}bun.lock`))
    .digest("hex");
  const stamp = `${ROOT}node_modules/.bun-lock-sha256`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  say("Installing packages");
  const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile"], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors, status] = await Promise.all([
    new Response(install.stdout).text(),
    new Response(install.stderr).text(),
    install.exited,
  ]);
  if (status !== 0) throw new Error(`bun install failed with status ${status}:\n${(out + errors).trim()}`);
  writeFileSync(stamp, lock);
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function buildKernels(): Promise<void> {
  const build = await import("./wasm/build.ts");
  await build.buildKernels(say);
}

/** The network may be down, or the library not published for this platform: the CPU works without it, so only report. */
async function fetchLibrary(provide: (onProgress: OnProgress) => Promise<void>, without: string): Promise<void> {
  let tried = false;
  try {
    await provide((line) => {
      tried = true;
      say(line);
    });
  } catch (error) {
    // Reported when a download fails; afterwards, by the command that needs the library.
    if (tried) say(`${without}: ${(error as Error).message}`);
  }
}

const turn = waitForTurn();
try {
  await installPackages();
  await buildKernels();
  const { provideWgpu, provideBlas } = await import("./native/libraries.ts");
  await fetchLibrary(provideWgpu, "Continuing without a GPU");
  await fetchLibrary(provideBlas, "Continuing without a BLAS; the CPU will be slower");
} catch (error) {
  say((error as Error).message);
  if (!isWritable(ROOT))
    say(`${ROOT} can't be written to: run \`bun src/setup.ts\` once as a user who may, or copy it`);
  process.exitCode = 1;
} finally {
  turn?.close();
}
