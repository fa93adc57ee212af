import { say } from "./terminal.ts";

/** The first Ctrl-C (or SIGTERM) asks for an orderly end, `after` what is under way; the second ends at once. */
export function stopOnCtrlC(after = "this step"): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort();
      say.info(`stopping after ${after}; once more to stop at once`);
    });
  }
  return controller.signal;
}
