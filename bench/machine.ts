/** Describes the machine of a run. */
import { cpus, platform, arch, release, totalmem, availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Machine } from "./results.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

export function machine(): Machine {
  const cores = availableParallelism();
  return {
    processor: `${cores} × ${cpus()[0]?.model.trim() ?? "unknown processor"}`,
    cores,
    memoryBytes: totalmem(),
    // Without suffixes added by a distribution or host.
    os: `${platform()} ${arch()}, ${release().split("-")[0]}`,
    bun: Bun.version,
    commit: git("rev-parse", "--short", "HEAD"),
    // New results and documents don't change what is measured.
    dirty: git("status", "--porcelain", "--", ".", ":!bench/results", ":!*.md") !== "",
    openblas: ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]
      .flatMap((name) => (process.env[name] ? [`${name}=${process.env[name]}`] : []))
      .join(" "),
    date: new Date().toISOString().replace(/\.\d+/, ""),
  };
}

/** The output of git, or "" if there is no git or no repository. */
function git(...args: string[]): string {
  try {
    const { success, stdout } = Bun.spawnSync(["git", ...args], { cwd: ROOT, stderr: "ignore" });
    return success ? stdout.toString().trim() : "";
  } catch {
    return "";
  }
}
