import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { say } from "./terminal.ts";

/**
 * The first Ctrl-C asks for an orderly end, `after` what is under way; the second ends at once. SIGTERM is another word
 * for it, and so is SIGHUP, which comes when the terminal is closed.
 */
export function stopOnCtrlC(after = "this step"): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort();
    say.info(`stopping after ${after}; once more to stop at once`);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  // `nohup` means that it is to outlive the terminal; a handler of our own would undo that.
  if (!isHangupIgnored()) process.on("SIGHUP", stop);
  return controller.signal;
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
