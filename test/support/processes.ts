/** Processes that a test starts, to their end or until something is so. */

/** How a process ended. */
export interface Ended {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end of a process whose output goes to pipes. */
export async function endOf(child: Bun.Subprocess<any, "pipe", "pipe">): Promise<Ended> {
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { code: child.exitCode, stdout, stderr: withoutProgress(stderr) };
}

/** Without a terminal a line of progress comes every ten seconds, which only a busy machine takes that long for. */
export function withoutProgress(stderr: string): string {
  return stderr.replace(/^(?:epoch +\d+\/\d+ |[a-z ]+: [\d,]+ of [\d,]+).*\n/gm, "");
}

/**
 * Looks again and again until something is so.
 * @throws an error when the process that is to bring it about has ended before
 */
export async function until(isSo: () => boolean, child: Bun.Subprocess): Promise<void> {
  while (!isSo()) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("the process has ended before");
    await Bun.sleep(2);
  }
}
