import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

export type EndingSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/**
 * The signals that end this process unless it listens to them: Ctrl-C, the polite kill, and a terminal that is closed.
 * Under `nohup`, which means that it is to outlive the terminal, SIGHUP is none of them; a listener would undo that.
 */
export function endingSignals(): EndingSignal[] {
  return isHangupIgnored() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
}

/** Whether who started this process had it ignore SIGHUP: bit 0 of a mask that the system shows in hexadecimal digits. */
function isHangupIgnored(): boolean {
  try {
    const mask =
      process.platform === "linux"
        ? /^SigIgn:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]!
        : spawnSync("ps", ["-o", "ignored=", "-p", String(process.pid)], { encoding: "utf8" }).stdout;
    return (Number.parseInt(mask.trim().at(-1)!, 16) & 1) === 1;
  } catch {
    // Windows has neither, nor `nohup`.
    return false;
  }
}

/** What `work` resolves to; undefined when it rejected because the signal stopped it. */
export function unlessStopped<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  });
}
