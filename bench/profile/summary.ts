/** What a profile comes to: steps beside PyTorch's, and what limits their kernels. */
import { table } from "../../src/cli/terminal.ts";
import type { Limit } from "../model/roofs.ts";
import { milliseconds, percent } from "../units.ts";
import { isOurs, rate, type Row } from "../results.ts";
import { hostMsOf, type JudgedKernel, type Profile } from "./document.ts";

/** Why a kernel takes as long as it does; "other" if none of its limits explains it. */
export type Cause = Limit | "other";

export const CAUSES: readonly Cause[] = ["arithmetic", "memory", "launch", "host", "other"];

/** A training step or forward pass, and the same by PyTorch. */
export interface StepLine {
  readonly name: string;
  readonly ours: Row;
  /** The fastest mode in single precision, and with TF32. */
  readonly torch?: Row;
  readonly tf32?: Row;
}

export function stepLines({ rows }: Profile): StepLine[] {
  const steps = rows.filter(({ suite }) => suite === "step");
  return steps.filter(isOurs).map((ours) => {
    const others = steps.filter((row) => row.name === ours.name && !isOurs(row));
    const isTf32 = ({ contestant }: Row) => contestant.includes(", TF32");
    const [torch, tf32] = [others.find((row) => !isTf32(row)), others.find(isTf32)];
    return { name: ours.name, ours, ...(torch && { torch }), ...(tf32 && { tf32 }) };
  });
}

/** How many times as fast ours is. */
export function timesAsFast(ours: Row, theirs: Row): string {
  return `${(theirs.ms.best / ours.ms.best).toFixed(2)}×`;
}

export function imagesPerSecond({ work, ms }: Row): string {
  const value = rate(work, ms.best);
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);
}

/** The kernels of a model's step. */
export interface ModelKernels {
  readonly model: string;
  readonly images: number;
  readonly kernels: readonly JudgedKernel[];
  /** Of all kernels. */
  readonly ms: number;
  /** The time of a whole step by the wall clock, if it was measured. */
  readonly stepMs?: number;
  /** The share of each cause in the kernels' time. */
  readonly shares: ReadonlyMap<Cause, number>;
}

export function kernelsByModel({ rows, profile: { kernels } }: Profile): ModelKernels[] {
  return [...Map.groupBy(kernels, ({ model }) => model)].map(([model, own]) => {
    const { images } = own[0]!;
    const ms = own.reduce((sum, kernel) => sum + kernel.ms, 0);
    const shares = new Map(CAUSES.map((cause) => [cause, shareOf(own, cause, ms)]));
    const step = rows.find((row) => row.name === `${model} training, batch ${images}` && isOurs(row));
    return { model, images, kernels: own, ms, shares, ...(step && { stepMs: step.ms.best }) };
  });
}

function shareOf(kernels: readonly JudgedKernel[], cause: Cause, ms: number): number {
  return kernels.reduce((sum, kernel) => sum + (causeOf(kernel) === cause ? kernel.ms : 0), 0) / ms;
}

export function causeOf({ judgement }: JudgedKernel): Cause {
  return judgement?.explains ? judgement.limit : "other";
}

/** As text, for a terminal. */
export function summaryOf(profile: Profile): string {
  const { devices, profile: more } = profile;
  const [device] = devices;
  const lines: string[] = [`${device!.description}: ${ratesOf(profile) || "its rates were not measured"}`];
  const steps = stepLines(profile).map(({ name, ours, torch, tf32 }) => [
    name,
    `${imagesPerSecond(ours)} images/s`,
    torch ? `${timesAsFast(ours, torch)} PyTorch` : "",
    tf32 ? `${timesAsFast(ours, tf32)} with TF32` : "",
  ]);
  if (steps.length > 0) lines.push(table(steps, [1, 2, 3]));
  for (const { model, images, ms, stepMs, shares } of kernelsByModel(profile)) {
    const of = stepMs === undefined ? "" : ` of ${milliseconds(stepMs)}`;
    const causes = CAUSES.filter((cause) => shares.get(cause)! >= 0.005);
    const words = causes.map((cause) => `${WORDS[cause]} ${percent(shares.get(cause)!)}`);
    lines.push(`${model}, batch ${images}: kernels take ${milliseconds(ms)}${of}, limited by ${words.join(", ")}`);
  }
  if (more.host)
    lines.push(`the host needs ${milliseconds(hostMsOf(more.host))} for each of ${more.host.kernels} kernels`);
  return lines.join("\n");
}

/** What the doctor found wrong. */
export function problemsOf({ profile: { findings } }: Profile): string[] {
  const problems = findings as readonly { readonly type?: string; readonly what?: string }[];
  return problems.flatMap(({ type, what }) => (type === "problem" && what !== undefined ? [what] : []));
}

const WORDS: Readonly<Record<Cause, string>> = {
  arithmetic: "arithmetic",
  memory: "memory",
  launch: "their launch",
  host: "the host",
  other: "none of these",
};

/** What the device reached; "" if it was not measured. */
function ratesOf({ devices: [device], profile: { launchMs } }: Profile): string {
  const { roof } = device!;
  if (!roof) return "";
  const launch = launchMs === undefined ? "" : `, ${milliseconds(launchMs)} for a kernel that does nothing`;
  return `${tera(roof.flopsPerSecond)} TFLOP/s, ${giga(roof.bytesPerSecond)} GB/s${launch}`;
}

export const tera = (value: number) => (value / 1e12).toPrecision(3);
export function giga(value: number): string {
  const billions = value / 1e9;
  return billions < 10 ? billions.toPrecision(2) : Math.round(billions).toLocaleString("en-US");
}
