/** Temporary folders that are removed even when a signal, or an exit in the middle of the work, ends the process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endingSignals, type EndingSignal } from "../signals.ts";

interface TemporaryFolder extends Disposable {
  readonly path: string;
  remove(): void;
}

const folders = new Set<string>();
/** Listened to while there are folders. */
let signals: readonly EndingSignal[] = [];

/** A new folder whose name begins with `prefix`. A signal that nothing else handles removes it before ending the process. */
export function temporaryFolder(prefix: string, parent = tmpdir()): TemporaryFolder {
  const path = mkdtempSync(join(parent, prefix));
  if (folders.size === 0) {
    signals = endingSignals();
    for (const signal of signals) process.on(signal, onSignal);
    // As on a second Ctrl-C.
    process.on("exit", removeAll);
  }
  folders.add(path);
  const remove = () => {
    rmSync(path, { recursive: true, force: true });
    folders.delete(path);
    if (folders.size > 0) return;
    for (const signal of signals) process.off(signal, onSignal);
    process.off("exit", removeAll);
  };
  return { path, remove, [Symbol.dispose]: remove };
}

function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  removeAll();
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}

function removeAll(): void {
  for (const path of folders) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Windows keeps files that are open. The process ends as it was about to.
    }
  }
}
