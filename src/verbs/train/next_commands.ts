/** The commands that a training ends with: to continue it, and to use what it has learnt. */
import { dirname, resolve } from "node:path";
import { here } from "../../cli/terminal.ts";
import { command } from "../../program.ts";
import { RUNS } from "../../runs/runs.ts";

/** @param run a run's folder */
export function resumeCommand(run: string): string {
  return command(`train --resume ${here(run)}`);
}

/** @param samples a folder of images that the training wrote to try it on */
export function predictCommand(run: string, samples: string | undefined): string {
  // The newest run in runs/ need not be named.
  const model = dirname(run) === resolve(RUNS) ? "" : ` --model ${here(run)}`;
  return command(`predict ${samples ? here(samples) : "IMAGE"}${model}`);
}
