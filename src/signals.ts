/** The signals that end this process, and work that an AbortSignal may stop. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

export type EndingSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/**
 * The signals that end this process unless handled: Ctrl-C, `kill`, and closing the terminal. Under `nohup`, SIGHUP is
 * ignored and not among them; listening to it would undo that.
 */
export function endingSignals(): EndingSignal[] {
  return isHangupIgnored() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
}

/** Whether this process was started with SIGHUP ignored: bit 0 of a mask that the system shows in hexadecimal. */
function isHangupIgnored(): boolean {
  try {
    const mask =
      process.platform === "linux"
        ? /^SigIgn:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]!
        : spawnSync("ps", ["-o", "ignored=", "-p", String(process.pid)], { encoding: "utf8" }).stdout;
    return (Number.parseInt(mask.trim().at(-1)!, 16) & 1) === 1;
  } catch {
    // Windows has none of these, nor `nohup`.
    return false;
  }
}

/** The result of `work`; undefined when the signal aborted it. */
export function unlessStopped<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  });
}
