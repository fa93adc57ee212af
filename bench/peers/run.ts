/** Runs one contestant's process and reads its outcome. */
import { AlexNetError } from "../../src/errors.ts";
import { FOLDER, type Contestant } from "./contestants.ts";
import { parseOutcome, type Job, type Outcome } from "./job.ts";

/** A contestant is stopped after this long, because it hangs or needs minutes for a step; compiling a network takes a minute or two. */
const LIMIT_MS = 600_000;

interface Ran {
  readonly outcome: Outcome;
  /** Of the whole process. */
  readonly ms: number;
}

/** Resolves to the outcome, or to why there is none. */
export async function runContestant(contestant: Contestant, job: Job): Promise<Ran | string> {
  const [runtime = "", file = "", ...options] = await contestant.command();
  const command = [runtime, file, JSON.stringify(job), ...options];
  const ran = await runProcess(command, contestant.environment?.(job));
  if (ran.error !== undefined) return ran.error;
  try {
    return { outcome: parseOutcome(ran.output), ms: ran.ms };
  } catch (error) {
    if (error instanceof AlexNetError) return error.message;
    throw error;
  }
}

/** Runs a program to its end. */
export async function runProcess(
  command: readonly string[],
  environment: Record<string, string> = {},
  limitMs = LIMIT_MS,
): Promise<{ output: string; ms: number; error?: string }> {
  const start = performance.now();
  const child = Bun.spawn([...command], {
    env: { ...process.env, PEERS_FOLDER: FOLDER, PYTHONDONTWRITEBYTECODE: "1", ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    // A whole number is demanded.
    timeout: Math.ceil(limitMs),
    killSignal: "SIGKILL",
  });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const ms = performance.now() - start;
  if (status === 0) return { output, ms };
  const last = errors.trim().split("\n").at(-1)?.trim().slice(0, 300);
  const error =
    ms >= limitMs ? `stopped after ${Math.round(limitMs / 1000)} s` : `ended with status ${status}: ${last}`;
  return { output, ms, error };
}
