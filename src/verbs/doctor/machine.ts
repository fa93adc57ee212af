/** The machine and the set-up, and problems with them. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, release, type } from "node:os";
import { dirname, join } from "node:path";
import { hostMemory, limited } from "../../devices/host_memory.ts";
import { reason } from "../../io/files.ts";
import { cacheFolder } from "../../native/cache.ts";
import { installation, VERSION } from "../../program.ts";
import { PATH_VARIABLES, PROJECT } from "./private.ts";
import type { Problem } from "./problem.ts";

export interface MachineReport {
  readonly version: string;
  /** Git's, with a + if files differ from it; empty without git. */
  readonly commit: string;
  readonly bun: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly disks: readonly Disk[];
  /** Environment variables that affect the program. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Disk {
  readonly use: "runs" | "cache";
  readonly path: string;
  readonly freeBytes: number;
}

/** Besides those that name files. */
const OTHER_VARIABLES = [
  "ALEXNET_TUNE",
  "WGPU_BACKEND",
  "MESA_VK_DEVICE_SELECT",
  "CUDA_VISIBLE_DEVICES",
  "DRI_PRIME",
  "OPENBLAS_NUM_THREADS",
  "OPENBLAS_CORETYPE",
  "OMP_NUM_THREADS",
];

export function describeMachine(): MachineReport {
  const { env } = process;
  const names = [...PATH_VARIABLES, ...OTHER_VARIABLES].filter((name) => env[name] !== undefined);
  return {
    version: VERSION,
    commit: commit(),
    bun: Bun.version,
    system: `${type()} ${release().split("-")[0]} ${arch()}`,
    processor: cpus()[0]?.model.trim() || "unknown processor",
    cores: availableParallelism(),
    memoryBytes: hostMemory(),
    freeMemoryBytes: limited(freemem()),
    disks: [disk("runs", process.cwd()), disk("cache", cacheFolder("native"))],
    environment: Object.fromEntries(names.map((name) => [name, env[name]!])),
  };
}

function commit(): string {
  const git = (...args: string[]) => {
    try {
      return Bun.spawnSync(["git", ...args], { cwd: PROJECT, stderr: "ignore" })
        .stdout.toString()
        .trim();
    } catch {
      return "";
    }
  };
  const head = existsSync(join(PROJECT, ".git")) ? git("rev-parse", "--short", "HEAD") : "";
  return head && git("status", "--porcelain", "--untracked-files=no") !== "" ? `${head}+` : head;
}

function disk(use: Disk["use"], path: string): Disk {
  let folder = path;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  return { use, path: folder, freeBytes: bavail * bsize };
}

/** `alexnet` keeps its last checkpoint (488 MB) and its best (244 MB), and writes the next beside the last. */
const NEEDED_DISK_BYTES = 1.3e9;
/** About what `alexnet` takes with a batch of 128. */
const NEEDED_MEMORY_BYTES = 2e9;

export function machineProblems({ disks, freeMemoryBytes }: MachineReport): Problem[] {
  const problems: Problem[] = [];
  for (const { use, path, freeBytes } of disks) {
    if (use === "runs" && freeBytes < NEEDED_DISK_BYTES) {
      problems.push({
        what: `only ${gigabytes(freeBytes)} free on the disk of ${path}, where runs are saved`,
        remedy: `training alexnet needs ${gigabytes(NEEDED_DISK_BYTES)}: free space, or train with --out elsewhere`,
      });
    }
    const failure = unwritable(path);
    if (failure) {
      const elsewhere = use === "runs" ? "train with --out elsewhere" : "set ALEXNET_CACHE to a writable folder";
      problems.push({
        what: `${use === "runs" ? "runs can't be saved" : "the cache can't be kept"} in ${path}: ${failure}`,
        remedy: `change its permissions, or ${elsewhere}`,
      });
    }
  }
  if (freeMemoryBytes < NEEDED_MEMORY_BYTES) {
    problems.push({
      what: `only ${gigabytes(freeMemoryBytes)} of memory free`,
      remedy: "close other programs; alexnet needs about 2 GB at a batch of 128, less with a smaller --batch",
    });
  }
  return [...problems, ...setUpProblems()];
}

/** Why a folder can't be written to; undefined if it can. */
function unwritable(folder: string): string | undefined {
  const probe = join(folder, `.doctor-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(probe, "");
    rmSync(probe);
    return undefined;
  } catch (error) {
    return reason(error);
  }
}

/** In a checkout: whether the packages are those that bun.lock lists. setup.ts records which it installed. */
function setUpProblems(): Problem[] {
  if (installation !== "checkout") return [];
  const lock = createHash("sha256")
    .update(readFileSync(join(PROJECT, "bun.lock")))
    .digest("hex");
  const stamp = join(PROJECT, "node_modules", ".bun-lock-sha256");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return [];
  return [{ what: "the packages in node_modules may not be those of bun.lock", remedy: "run bun run doctor" }];
}

/** "12.3 GB". */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
