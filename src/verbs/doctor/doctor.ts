/** Looks at everything that the other commands need: the machine, the libraries, the devices; and tries each of them. */
import type { AdapterDescription } from "../../devices/open.ts";
import { working, type Context, type Notice, type Working } from "../../ranks/context.ts";
import { text, validate, type OptionsOf } from "../../schema.ts";
import { findCandidates, missingGpu, type Candidate } from "./devices.ts";
import type { KernelReport } from "./kernels.ts";
import { describeLibraries, type Library } from "./libraries.ts";
import { describeMachine, machineProblems, type Machine } from "./machine.ts";
import { messageOf, type Problem } from "./problem.ts";
import { LOSS_BOUND, trainShortly, type TrainingReport } from "./self_test.ts";

export type { KernelReport, Library, Machine, Problem, TrainingReport };
export { LOSS_BOUND } from "./self_test.ts";

/** What the doctor found, in this order; problems come when they are met, and "end" last. */
export type Finding =
  | ({ readonly type: "machine" } & Machine)
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
  /** As `bun run devices` lists them; all if not given. "cpu" is with and without BLAS. */
  device: text("Only this device: cpu, or gpu: and a number or name that `bun run devices` lists", { hint: "NAME" }),
};

export interface DoctorOptions extends OptionsOf<typeof DOCTOR_OPTIONS> {}

/**
 * @param context its `report` is told each finding
 * @returns whether there is no problem
 * @throws DeviceError when the device that was named is not there
 */
export async function doctor(options: DoctorOptions, context: Context<Finding | Notice>): Promise<boolean> {
  validate("doctor", options, DOCTOR_OPTIONS);
  const { report: found, signal, note, progress } = working("doctor", context);
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

/** The problem that ended a try, if one did: the next device gets its turn all the same. */
async function tried(candidate: Candidate, what: string, work: () => Promise<void>): Promise<Problem | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return { what: `${candidate.name}: ${what} failed: ${messageOf(error)}`, remedy: remedyFor(candidate) };
  }
}

function remedyFor({ adapter, options }: Candidate): string {
  if (adapter) return "update the GPU's driver; until then, --device cpu does without it";
  if (options.blas) return "use another BLAS (BLAS_LIB_PATH); until then, --blas off does without one";
  return "this is worth a report, with all of this text";
}

type Report = (problem: Problem | undefined) => void;
type Found = (finding: Finding) => void;

async function tryKernels(
  candidate: Candidate,
  found: Found,
  report: Report,
  progress: Working<Notice>["progress"],
): Promise<void> {
  const { name } = candidate;
  // Its inputs are drawn when it is loaded, which takes a second.
  const { checkKernels, wordsOf } = await import("./kernels.ts");
  await using backend = await candidate.open();
  const checked = await checkKernels(backend, (done, total) => progress(`${name}: kernels`, done, total, "sizes"));
  found({ type: "kernels", device: name, ...checked });
  const what = wordsOf(checked);
  if (what) report({ what: `${name}: ${what}`, remedy: remedyFor(candidate) });
}

async function tryTraining(
  candidate: Candidate,
  found: Found,
  report: Report,
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
