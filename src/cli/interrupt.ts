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

/** What `work` resolves to; undefined when it rejected because the signal stopped it. */
export function unlessStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  });
}
