import { endingSignals } from "../signals.ts";
import { say } from "./terminal.ts";

/**
 * The first Ctrl-C asks for an orderly end, `after` what is under way; the second ends at once. SIGTERM is another word
 * for it, and so is SIGHUP, which comes when the terminal is closed.
 */
export function stopOnCtrlC(after: string): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort();
    say.info(`stopping after ${after}; once more to stop at once`);
  };
  for (const signal of endingSignals()) process.on(signal, stop);
  return controller.signal;
}
