/** Temporary folders that are removed even when a signal ends the process. */
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
  }
  folders.add(path);
  const remove = () => {
    rmSync(path, { recursive: true, force: true });
    folders.delete(path);
    if (folders.size === 0) for (const signal of signals) process.off(signal, onSignal);
  };
  return { path, remove, [Symbol.dispose]: remove };
}

function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  for (const path of folders) rmSync(path, { recursive: true, force: true });
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
