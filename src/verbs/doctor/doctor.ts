/** Checks everything that the other commands need: the machine, the libraries, and each device. */
import type { AdapterDescription } from "../../devices/open.ts";
import { command } from "../../program.ts";
import { working, type Context, type Notice, type Working } from "../../ranks/context.ts";
import { text, type OptionsOf } from "../../schema.ts";
import { findCandidates, missingGpu, type TrialDevice } from "./devices.ts";
import type { KernelReport } from "./kernels.ts";
import { describeLibraries, type Library } from "./libraries.ts";
import { describeMachine, machineProblems, type MachineReport } from "./machine.ts";
import { messageOf, type Problem } from "./problem.ts";
import { LOSS_BOUND, trainShortly, type TrainingReport } from "./self_test.ts";

export type { KernelReport, Library, MachineReport, Problem, TrainingReport };
export { LOSS_BOUND } from "./self_test.ts";

/** A finding. They come in this order, except that problems come as they are found. */
export type Finding =
  | ({ readonly type: "machine" } & MachineReport)
  | ({ readonly type: "library" } & Library)
  | {
      readonly type: "device";
      readonly device: string;
      readonly description: string;
      readonly adapter?: AdapterDescription;
    }
  | ({ readonly type: "kernels"; readonly device: string } & KernelReport)
  | ({ readonly type: "training"; readonly device: string; readonly bound: number } & TrainingReport)
  | ({ readonly type: "problem" } & Problem)
  | { readonly type: "end"; readonly problems: number; readonly seconds: number };

export const DOCTOR_OPTIONS = {
  /** A device, as `bun run devices` lists them; by default all. "cpu" means with and without BLAS. */
  device: text(`Only this device: cpu, or gpu: and a number or name from \`${command("devices")}\``, { hint: "NAME" }),
};

export interface DoctorOptions extends OptionsOf<typeof DOCTOR_OPTIONS> {}

/**
 * @param context its `report` is called with each finding
 * @returns whether no problem was found
 * @throws DeviceError when the named device does not exist
 */
export async function doctor(call: DoctorOptions & Context<Finding | Notice> = {}): Promise<boolean> {
  const { options, report: found, signal, note, progress } = working("doctor", call, DOCTOR_OPTIONS);
  const { device } = options;
  const start = performance.now();
  let problems = 0;
  const report = (problem: Problem | undefined) => {
    if (!problem) return;
    problems++;
    found({ type: "problem", ...problem });
  };
  const machine = describeMachine();
  found({ type: "machine", ...machine });
  for (const problem of machineProblems(machine)) report(problem);

  note("libraries");
  const libraries = await describeLibraries();
  for (const library of libraries) {
    found({ type: "library", ...library });
    report(library.problem);
  }

  const candidates = await findCandidates(device, libraries);
  for (const { name, description, adapter } of candidates) {
    found({ type: "device", device: name, description, ...(adapter && { adapter }) });
  }
  if (device === undefined) report(missingGpu(candidates.flatMap(({ adapter }) => adapter ?? [])));

  for (const candidate of candidates) {
    signal.throwIfAborted();
    report(await tried(candidate, "kernels", () => tryKernels(candidate, found, report, progress)));
    signal.throwIfAborted();
    report(await tried(candidate, "training", () => tryTraining(candidate, found, report, note)));
  }
  found({ type: "end", problems, seconds: (performance.now() - start) / 1000 });
  return problems === 0;
}

/** The problem that ended a trial, if any; the other devices are tried all the same. */
async function tried(candidate: TrialDevice, what: string, work: () => Promise<void>): Promise<Problem | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return { what: `${candidate.name}: ${what} failed: ${messageOf(error)}`, remedy: remedyFor(candidate) };
  }
}

function remedyFor({ adapter, options }: TrialDevice): string {
  if (adapter) return "update the GPU's driver; until then, use --device cpu";
  if (options.blas) return "use another BLAS (BLAS_LIB_PATH); until then, use --blas off";
  return "please report this, with all of this text";
}

type ReportProblem = (problem: Problem | undefined) => void;
type ReportFinding = (finding: Finding) => void;

async function tryKernels(
  candidate: TrialDevice,
  found: ReportFinding,
  report: ReportProblem,
  progress: Working<Notice>["progress"],
): Promise<void> {
  const { name } = candidate;
  // Loading it draws the inputs of all cases, which takes a second.
  const { checkKernels, wordsOf } = await import("./kernels.ts");
  await using backend = await candidate.open();
  const checked = await checkKernels(backend, (done, total) => progress(`${name}: kernels`, done, total, "sizes"));
  found({ type: "kernels", device: name, ...checked });
  const what = wordsOf(checked);
  if (what) report({ what: `${name}: ${what}`, remedy: remedyFor(candidate) });
}

async function tryTraining(
  candidate: TrialDevice,
  found: ReportFinding,
  report: ReportProblem,
  note: (line: string) => void,
): Promise<void> {
  const { name, options } = candidate;
  const trained = await trainShortly(options, (line) => note(`${name}: training, ${line}`));
  found({ type: "training", device: name, bound: LOSS_BOUND, ...trained });
  if (trained.result !== "failed") return;
  report({
    what: `${name}: the loss went from ${trained.firstLoss.toFixed(2)} to ${trained.loss.toFixed(2)}, not below ${LOSS_BOUND}`,
    remedy: remedyFor(candidate),
  });
}
