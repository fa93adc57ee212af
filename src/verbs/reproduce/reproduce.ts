/** Tries claims of the paper one after the other. Every training is kept, so that a stopped list continues. */
import { cpus } from "node:os";
import { basename, join } from "node:path";
import { DEVICE_OPTIONS } from "../../devices/open.ts";
import { UsageError } from "../../errors.ts";
import { replaceFile } from "../../io/files.ts";
import { kebab } from "../../option_names.ts";
import { given } from "../../options.ts";
import { command } from "../../program.ts";
import { CONTEXT, type Context } from "../../ranks/context.ts";
import { count, flag, text, texts, validate, type OptionsOf } from "../../schema.ts";
import { suggest } from "../../suggest.ts";
import type { TrainEvent } from "../../training/events.ts";
import { CLAIMS, isRace, type Arm, type Claim } from "./claims.ts";
import { markdown, type ClaimResult, type Results } from "./results.ts";
import { productSpeed } from "./product_speed.ts";
import { deviceOf, runTrial, sizeOf, trainOptions, type TrialOutcome } from "./trial.ts";

const DATA = "cifar10";

export const REPRODUCE_OPTIONS = {
  /** Names of claims; "all" for all of them. */
  claims: texts("Names of claims, or all", { name: "claim", place: "any", needed: true }),
  /** As for `train`; by default CIFAR-10, downloaded once. */
  data: text(`What to train on, as for \`train\` (${DATA})`, { hint: "PATH" }),
  /** The test set, if it is elsewhere. */
  val: text("The test set, if it is elsewhere", { hint: "PATH" }),
  /** Number of trainings of each kind, with seeds 0, 1, …; by default 3. */
  seeds: count("How often to repeat each training, with seeds 0, 1, … (3)", { hint: "N" }),
  /** On all images, which takes hours. */
  full: flag("On all images: hours instead of minutes"),
  /** The folder for runs and results; by default runs/reproduce. */
  out: text("Folder for runs and results (runs/reproduce)", { hint: "FOLDER" }),
  ...DEVICE_OPTIONS,
};

export interface ReproduceOptions extends OptionsOf<typeof REPRODUCE_OPTIONS> {}

export type ReproduceEvent =
  | TrainEvent
  /** A training begins, or is already done: number `number` of `total`. */
  | {
      readonly type: "trial";
      readonly claim: Claim;
      readonly arm: Arm;
      readonly seed: number;
      readonly number: number;
      readonly total: number;
    }
  /** All trainings of a claim are done. */
  | { readonly type: "claim"; readonly result: ClaimResult };

export interface Reproduced {
  readonly results: Results;
  /** results.json and results.md. */
  readonly files: readonly string[];
}

/**
 * Tries claims. The signal stops it after the current step; called again, it continues from there.
 * @returns undefined when it was stopped
 * @throws UsageError for a claim that is unknown, or a folder with runs of other data; what `train` throws
 */
export async function reproduce(
  call: ReproduceOptions & Context<ReproduceEvent>,
  known: readonly Claim[] = CLAIMS,
): Promise<Reproduced | undefined> {
  validate("reproduce", call, REPRODUCE_OPTIONS, CONTEXT);
  const { onEvent: report = () => {}, signal = new AbortController().signal, ranks: _ranks, ...options } = call;
  const claims = named(options.claims, known);
  const { claims: _, seeds = 3, full = false, out = join("runs", "reproduce"), ...rest } = { data: DATA, ...options };
  const trialOptions = { ...rest, full, out };
  const total = claims.reduce((sum, { arms }) => sum + arms.length * seeds, 0);
  const gflops = claims.some(isRace) ? await productSpeed(deviceOf(trialOptions)) : undefined;
  const done: ClaimResult[] = [];
  let number = 0;
  for (const claim of claims) {
    const outcomes = new Map<Arm, TrialOutcome[]>(claim.arms.map((arm) => [arm, []]));
    for (let seed = 0; seed < seeds; seed++) {
      for (const arm of claim.arms) {
        report({ type: "trial", claim, arm, seed, number: ++number, total });
        const outcome = await runTrial(claim, arm, seed, trialOptions, { report, signal });
        if (!outcome) return undefined;
        outcomes.get(arm)!.push(outcome);
      }
    }
    const result = resultOf(claim, outcomes, full);
    report({ type: "claim", result });
    done.push(result);
  }
  const results: Results = {
    size: full ? "full" : "default",
    data: basename(rest.data),
    devices: [
      ...new Set(done.flatMap(({ arms }) => arms.flatMap(({ outcomes }) => outcomes.map(({ device }) => device)))),
    ],
    processor: cpus()[0]?.model.trim() ?? "unknown",
    ...(gflops !== undefined && { gflops }),
    bun: Bun.version,
    date: new Date().toISOString().slice(0, 10),
    claims: done,
  };
  const files = [join(out, "results.json"), join(out, "results.md")];
  const write = (path: string, text: string) => replaceFile(path, (append) => append(new TextEncoder().encode(text)));
  await write(files[0]!, `${JSON.stringify(results, undefined, 2)}\n`);
  await write(files[1]!, `${markdown(results)}\n`);
  return { results, files };
}

function resultOf(claim: Claim, outcomes: ReadonlyMap<Arm, readonly TrialOutcome[]>, full: boolean): ClaimResult {
  const { name, says, paper } = claim;
  return {
    ...{ name, says, paper },
    ...(isRace(claim) ? { seconds: claim.seconds } : { size: sizeOf(claim, full) }),
    ...("until" in claim && claim.until && { until: claim.until }),
    arms: claim.arms.map((arm) => ({
      name: arm.name,
      command: commandOf(claim, arm, full, outcomes.get(arm)!),
      outcomes: outcomes.get(arm)!,
    })),
  };
}

/** The command to type for one training; a race has the length that its first seed had. */
function commandOf(claim: Claim, arm: Arm, full: boolean, [first]: readonly TrialOutcome[]): string {
  const { model, augment, rate, epochs, limit } = trainOptions(claim, arm, 0, { full });
  const length = isRace(claim) ? { epochs: first!.epochs, epochImages: first!.images } : { epochs, limit };
  const options = Object.entries(given({ model, augment, rate, ...length })).map(
    ([option, value]) => ` --${kebab(option)} ${value}`,
  );
  return command(`train DATA${options.join("")} --seed SEED`);
}

/** @throws UsageError when one is unknown, or none is named */
function named(names: readonly string[], known: readonly Claim[]): readonly Claim[] {
  const all = known.map(({ name }) => name);
  if (names.includes("all")) return known;
  return names.map((name) => {
    const claim = known.find((each) => each.name === name);
    if (claim) return claim;
    throw new UsageError(`no claim is called "${name}"${suggest(name, all)}; there are ${all.join(", ")}, or all`);
  });
}
