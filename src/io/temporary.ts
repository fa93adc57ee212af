/** Folders that are gone when whoever made them is done, or is stopped. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endingSignals, type EndingSignal } from "../signals.ts";

export interface TemporaryFolder extends Disposable {
  readonly path: string;
  remove(): void;
}

const folders = new Set<string>();
/** Those that are listened to while there are folders. */
let signals: readonly EndingSignal[] = [];

/** A new folder whose name begins with `prefix`. A signal that nobody else listens to takes it away before it ends us. */
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
