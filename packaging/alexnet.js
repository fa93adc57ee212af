#!/usr/bin/env node
// The command `alexnet` of the package, for Node and for Bun. The program needs Bun, which is 100 MB, so it is not a
// dependency: this finds the one that is installed, or fetches it with npm, once, into the cache folder.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const main = new URL("./src/main.js", import.meta.url);
const BUN = "1.4.5";
const { platform, env } = process;

if (process.versions.bun !== undefined && isRecent(process.versions.bun)) await import(main.href);
else runWithBun();

/** @param {string} version */
function isRecent(version) {
  const [least, found] = [BUN, version].map((each) => each.split(/[.-]/).slice(0, 3).map(Number));
  const differs = least.findIndex((part, i) => part !== found[i]);
  return differs < 0 || found[differs] > least[differs];
}

function runWithBun() {
  const bun = installed() ?? fetched();
  // What a folder of photos may hold besides them, .env and bunfig.toml, is none of the program's business.
  const options = [
    "--no-install",
    "--no-env-file",
    `--config=${fileURLToPath(new URL("./bunfig.toml", import.meta.url))}`,
  ];
  const child = spawn(bun, [...options, fileURLToPath(main), ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to the child as well, and a second one would mean "at once".
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`can't start ${bun}: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** A Bun on the PATH that is recent enough. */
function installed() {
  const shell = platform === "win32";
  const { stdout, status } = spawnSync("bun", ["--version"], { encoding: "utf8", shell });
  return status === 0 && isRecent(stdout.trim()) ? "bun" : undefined;
}

function fetched() {
  const folder = join(cacheFolder(), `bun-${BUN}`);
  const found = executableIn(folder);
  if (found) return found;
  const advice = "install Bun yourself: https://bun.sh";
  if (env.ALEXNET_OFFLINE) fail(`alexnet runs on Bun ${BUN} or later, and ALEXNET_OFFLINE is set: ${advice}`);
  process.stderr.write(`Fetching Bun ${BUN}, which alexnet runs on (100 MB, with npm, once)\n`);
  const incomplete = `${folder}.${process.pid}`;
  mkdirSync(incomplete, { recursive: true });
  const args = ["install", "--prefix", incomplete, "--ignore-scripts", "--no-audit", "--no-fund", `bun@${BUN}`];
  const npm = spawnSync("npm", args, { encoding: "utf8", shell: platform === "win32", cwd: incomplete });
  if (npm.status !== 0 || !executableIn(incomplete)) {
    rmSync(incomplete, { recursive: true, force: true });
    const said = (npm.error?.message ?? npm.stderr).trim().split("\n")[0];
    fail(`npm can't fetch Bun: ${said}: ${advice}`);
  }
  try {
    renameSync(incomplete, folder);
  } catch {
    // Another process was quicker.
    rmSync(incomplete, { recursive: true, force: true });
  }
  return executableIn(folder) ?? fail(`there is no Bun in ${folder}: delete it, and try again`);
}

/** @param {string} folder where npm has installed Bun, whose executable is in the package for this platform */
function executableIn(folder) {
  const lock = join(folder, "node_modules", ".package-lock.json");
  if (!existsSync(lock)) return undefined;
  const packages = Object.keys(JSON.parse(readFileSync(lock, "utf8")).packages);
  return packages
    .filter((path) => path.includes("@oven/"))
    .map((path) => join(folder, path, "bin", platform === "win32" ? "bun.exe" : "bun"))
    .find(existsSync);
}

/** As src/native/cache.ts has it. */
function cacheFolder() {
  if (env.ALEXNET_CACHE) return env.ALEXNET_CACHE;
  const home = homedir();
  if (platform === "win32") return join(env.LOCALAPPDATA || join(home, "AppData", "Local"), "alexnet", "Cache");
  if (platform !== "darwin" && env.XDG_CACHE_HOME?.startsWith("/")) return join(env.XDG_CACHE_HOME, "alexnet");
  if (home === "/" || home === "") return join(tmpdir(), `alexnet-${process.getuid?.() ?? "cache"}`);
  return platform === "darwin" ? join(home, "Library", "Caches", "alexnet") : join(home, ".cache", "alexnet");
}

/** @param {string} line @returns {never} */
function fail(line) {
  process.stderr.write(`error: ${line}\n`);
  process.exit(1);
}
