/** The results of a profile: a results file, which `--compare` reads too, with what became of each part. */
import { judge, type Judgement, type Roofs } from "../model/roofs.ts";
import { FORMAT, type Device, type Machine, type Results, type Row, type Skipped } from "../results.ts";
import type { Ended } from "./plan.ts";

/** What a part has measured. */
export interface Data {
  /** The device, with its roofs. */
  readonly device?: Device;
  /** The shortest time of a kernel, which computes next to nothing. */
  readonly launchMs?: number;
  readonly rows?: readonly Row[];
  readonly skipped?: readonly Skipped[];
  /** Contestants whose results were wrong. */
  readonly wrong?: readonly Skipped[];
  readonly kernels?: readonly KernelRow[];
  readonly host?: HostCost;
  /** What the doctor said. */
  readonly findings?: readonly unknown[];
}

/** A kernel of a training step. */
export interface KernelRow {
  readonly model: string;
  readonly images: number;
  /** Its place in the step, from 0. */
  readonly index: number;
  /** The part of the step: "conv1 forward". */
  readonly part: string;
  /** The name of the kernel, or of the variant that ran. */
  readonly kernel: string;
  /** The best of several steps, by the device's clock. */
  readonly ms: number;
  readonly flop: number;
  readonly bytes: number;
}

/** The host's part of a training step; see encoding.ts. */
export interface HostCost {
  readonly model: string;
  readonly batch: number;
  readonly kernels: number;
  readonly submissions: number;
  readonly compiled: { readonly count: number; readonly modules: number; readonly pipelines: number };
  readonly ms: Readonly<
    Record<"upload" | "first" | "rest" | "end", { readonly best: number; readonly median: number }>
  >;
}

export type JudgedKernel = KernelRow & { readonly judgement?: Judgement };

export interface Profile extends Results {
  readonly profile: {
    readonly minutes: number;
    readonly note?: string;
    readonly parts: readonly Omit<Ended<never>, "data">[];
    readonly launchMs?: number;
    readonly host?: HostCost;
    readonly kernels: readonly JudgedKernel[];
    readonly wrong: readonly Skipped[];
    readonly findings: readonly unknown[];
  };
}

/** What is known of a run before it begins. */
export interface Run {
  readonly machine: Machine;
  /** Without its roofs. */
  readonly device: Device;
  readonly minutes: number;
  /** By whoever started it. */
  readonly note?: string;
}

/** All that is known so far. */
export function assemble({ machine, device, minutes, note }: Run, ended: readonly Ended<Data>[]): Profile {
  const all = ended.flatMap(({ data }) => data ?? []);
  const last = <K extends keyof Data>(key: K): Data[K] | undefined =>
    all.findLast((data) => data[key] !== undefined)?.[key];
  const measured = last("device") ?? device;
  const [launchMs, host] = [last("launchMs"), last("host")];
  const roofs = roofsOf(measured, launchMs, host);
  const kernels = all
    .flatMap(({ kernels = [] }) => kernels)
    .map((kernel) => ({ ...kernel, ...(roofs && { judgement: judge(kernel, roofs, kernel.ms) }) }));
  return {
    ...{ format: FORMAT, machine, devices: devicesOf(measured, all) },
    rows: all.flatMap(({ rows = [] }) => rows),
    skipped: all.flatMap(({ skipped = [] }) => skipped),
    profile: {
      minutes,
      ...(note !== undefined && { note }),
      parts: ended.map(({ data: _, ...part }) => part),
      ...(launchMs !== undefined && { launchMs }),
      ...(host && { host }),
      kernels,
      wrong: all.flatMap(({ wrong = [] }) => wrong),
      findings: all.flatMap(({ findings = [] }) => findings),
    },
  };
}

/** What limits kernels on this device; undefined as long as its roofs are not known. */
function roofsOf({ roof }: Device, launchMs = 0, host: HostCost | undefined): Roofs | undefined {
  if (!roof) return undefined;
  return { ...roof, launchMs, ...(host && { hostMs: hostMsOf(host) }) };
}

/** What the host needs for each kernel. */
export function hostMsOf({ kernels, ms }: HostCost): number {
  return (ms.first.median + ms.rest.median) / kernels;
}

function devicesOf(device: Device, all: readonly Data[]): Device[] {
  const others = new Set(all.flatMap(({ rows = [] }) => rows.map((row) => row.device)));
  others.delete(device.device);
  return [device, ...[...others].map((name) => ({ device: name, description: OTHERS[name] ?? name }))];
}

/** Where PyTorch computes. */
const OTHERS: Readonly<Record<string, string>> = { cuda: "PyTorch on CUDA or ROCm", cpu: "PyTorch on all cores" };
