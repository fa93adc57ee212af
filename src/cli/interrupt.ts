import { say } from "./terminal.ts";

/** The first Ctrl-C (or SIGTERM) asks for an orderly end, the second ends at once. */
export function stopOnCtrlC(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort();
      say.info("stopping after this step; once more to stop at once");
    });
  }
  return controller.signal;
}
