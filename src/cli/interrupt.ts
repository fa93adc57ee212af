import { endingSignals } from "../signals.ts";
import { say } from "./terminal.ts";

/**
 * The first Ctrl-C stops in an orderly way, `after` the work in progress; the second exits at once. SIGTERM does the
 * same, and so does SIGHUP, sent when the terminal is closed.
 */
export function stopOnCtrlC(after: string): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort();
    say.info(`stopping after ${after}; press Ctrl-C again to stop at once`);
  };
  for (const signal of endingSignals()) process.on(signal, stop);
  return controller.signal;
}
