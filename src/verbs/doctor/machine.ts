/** The machine and the set-up: what is there, and what will not do. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, release, totalmem, type } from "node:os";
import { dirname, join } from "node:path";
import packageJson from "../../../package.json";
import { reason } from "../../io/files.ts";
import { cacheFolder } from "../../native/cache.ts";
import { PATH_VARIABLES, PROJECT } from "./private.ts";
import type { Problem } from "./problem.ts";

export interface Machine {
  readonly version: string;
  /** Of git, with a + where files differ from it; empty where there is no git. */
  readonly commit: string;
  readonly bun: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly disks: readonly Disk[];
  /** Environment variables that change what happens. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Disk {
  readonly use: "runs" | "cache";
  readonly path: string;
  readonly freeBytes: number;
}

/** Others that are looked at besides those that name files. */
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

export function describeMachine(): Machine {
  const { env } = process;
  const names = [...PATH_VARIABLES, ...OTHER_VARIABLES].filter((name) => env[name] !== undefined);
  return {
    version: packageJson.version,
    commit: commit(),
    bun: Bun.version,
    system: `${type()} ${release().split("-")[0]} ${arch()}`,
    processor: cpus()[0]?.model.trim() || "unknown processor",
    cores: availableParallelism(),
    memoryBytes: limited(totalmem()),
    freeMemoryBytes: limited(freemem()),
    disks: [disk("runs", process.cwd()), disk("cache", cacheFolder("native"))],
    environment: Object.fromEntries(names.map((name) => [name, env[name]!])),
  };
}

/** A container may be given less memory than the machine has. */
function limited(bytes: number): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(bytes, limit) : bytes;
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
/** `alexnet` with a batch of 128 takes about so much. */
const NEEDED_MEMORY_BYTES = 2e9;

export function machineProblems({ disks, freeMemoryBytes }: Machine): Problem[] {
  const problems: Problem[] = [];
  for (const { use, path, freeBytes } of disks) {
    if (use === "runs" && freeBytes < NEEDED_DISK_BYTES) {
      problems.push({
        what: `only ${gigabytes(freeBytes)} are free on the disk of ${path}, where runs are saved`,
        remedy: `a training of alexnet needs ${gigabytes(NEEDED_DISK_BYTES)}: make room, or train with --out elsewhere`,
      });
    }
    const failure = unwritable(path);
    if (failure) {
      const elsewhere =
        use === "runs" ? "train with --out elsewhere" : "set ALEXNET_CACHE to a folder that can be written to";
      problems.push({
        what: `${use === "runs" ? "runs can't be saved" : "the cache can't be kept"} in ${path}: ${failure}`,
        remedy: `change its permissions, or ${elsewhere}`,
      });
    }
  }
  if (freeMemoryBytes < NEEDED_MEMORY_BYTES) {
    problems.push({
      what: `only ${gigabytes(freeMemoryBytes)} of memory are free`,
      remedy: "end other programs; alexnet needs about 2 GB at a batch of 128, less with a smaller --batch",
    });
  }
  return [...problems, ...setUpProblems()];
}

/** Why nothing can be written to a folder; undefined when it can. */
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

/** Whether the packages are those that bun.lock lists: setup.ts notes which it installed. */
function setUpProblems(): Problem[] {
  const lock = createHash("sha256")
    .update(readFileSync(join(PROJECT, "bun.lock")))
    .digest("hex");
  const stamp = join(PROJECT, "node_modules", ".bun-lock-sha256");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return [];
  return [{ what: "the packages in node_modules are not known to be those of bun.lock", remedy: "run bun run doctor" }];
}

/** 12.3 GB. */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
