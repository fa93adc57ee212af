/** `bun run bench scale`: times steps of one, two and more ranks on this machine, and models more ranks. */
import { fileURLToPath } from "node:url";
import { print, table } from "../../src/cli/terminal.ts";
import type { DeviceOptions } from "../../src/devices/open.ts";
import { AlexNetError, UsageError } from "../../src/errors.ts";
import { replaceFile } from "../../src/io/files.ts";
import { findLauncher, HOW_TO_GET_MPI } from "../../src/native/mpi.ts";
import type { Network } from "../../src/net/recipe.ts";
import { machine } from "../machine.ts";
import { milliseconds, percent } from "../units.ts";
import { times, type Machine } from "../results.ts";
import { fit, hiddenShare, project, type ComputeSample, type ScaleModel, type ScaleSample } from "./model.ts";
import type { Job, Measured } from "./rank.ts";

interface ScaleOptions {
  readonly network: Network;
  /** Images per rank. */
  readonly images: number;
  /** Numbers of ranks besides one, smallest first. */
  readonly ranks: readonly number[];
  readonly device: DeviceOptions;
  /** Write the measurements to this file. */
  readonly json?: string;
}

interface ScaleResults {
  readonly machine: Machine;
  readonly network: string;
  readonly device: string;
  readonly mpi: string | null;
  readonly compute: readonly ComputeSample[];
  readonly scale: readonly ScaleSample[];
  readonly model: ScaleModel;
  /** Images per second predicted by the model, by link and number of ranks. */
  readonly projected: readonly {
    readonly gigabits: number;
    readonly ranks: number;
    readonly imagesPerSecond: number;
  }[];
}

const TIMES = 5;
const GIGABITS = [10, 100, 400];
const PROJECTED = [1, 2, 4, 8, 16, 32, 64];
const RANK = fileURLToPath(new URL("./rank.ts", import.meta.url));

/** Published speed-ups. */
const PUBLISHED = [
  ["one weird trick, K20 (arXiv 1404.5997, Table 1)", { 1: 1, 2: 1.95, 4: 3.74, 8: 6.25 }],
  [
    "TensorFlow 2017, P100, synthetic data (its benchmarks.md)",
    { 1: 1, 2: 5658 / 2987, 4: 10509 / 2987, 8: 17822 / 2987 },
  ],
] as const;

/** @throws UsageError without MPI; AlexNetError when a rank fails */
export async function scale({ network, images, ranks, device, json }: ScaleOptions): Promise<void> {
  const launcher = process.env.MPIEXEC ?? findLauncher();
  if (!launcher || launcher === "srun") throw new UsageError(`bench scale needs mpiexec. ${HOW_TO_GET_MPI}`);
  const job = { network: network.name, times: TIMES, device };
  const compute: ComputeSample[] = [];
  let alone: Measured | undefined;
  for (const count of [...new Set([1, 2, 4].map((part) => Math.max(1, Math.floor(images / part))))]) {
    alone = await run([], { ...job, images: count });
    compute.push({ images: count, seconds: times(alone.computeSeconds).median });
  }
  const samples: ScaleSample[] = [];
  let mpi: string | null = null;
  for (const count of ranks) {
    const measured = await run([launcher, "-n", `${count}`], { ...job, images });
    mpi = measured.mpi;
    const [computeSeconds, exchangeSeconds, stepSeconds] = [
      measured.computeSeconds,
      measured.exchangeSeconds,
      measured.stepSeconds,
    ].map((each) => times(each).median) as [number, number, number];
    samples.push({
      ...{ ranks: count, images, computeSeconds, exchangeSeconds, stepSeconds },
      sentBytes: measured.sentBytes,
    });
  }
  const model = fit(compute, samples, alone!.gradientBytes);
  const projected = GIGABITS.flatMap((gigabits) =>
    PROJECTED.map((count) => ({
      ...{ gigabits, ranks: count },
      imagesPerSecond: project(model, count, images, 1e9 * gigabits),
    })),
  );
  const results: ScaleResults = {
    ...{
      machine: machine(),
      network: network.name,
      device: alone!.device,
      mpi,
      compute,
      scale: samples,
      model,
      projected,
    },
  };
  show(results, images);
  if (json !== undefined) {
    await replaceFile(json, (append) => append(Buffer.from(`${JSON.stringify(results, undefined, 2)}\n`)));
  }
}

async function run(launcher: readonly string[], job: Job): Promise<Measured> {
  const child = Bun.spawn([...launcher, process.execPath, RANK, JSON.stringify(job)], {
    // Open MPI refuses more ranks than cores unless told otherwise.
    env: { ...process.env, OMPI_MCA_rmaps_base_oversubscribe: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  const line = stdout.split("\n").find((each) => each.startsWith("{"));
  if (child.exitCode === 0 && line !== undefined) return JSON.parse(line) as Measured;
  const said = stderr.split("\n").filter((each) => /\w/.test(each));
  const reason = said.find((each) => each.includes("rror:")) ?? said.slice(0, 2).join(" ");
  throw new AlexNetError(`${launcher.join(" ") || "one rank"}: ${reason}`);
}

function show({ network, device, mpi, compute, scale: samples, model, projected }: ScaleResults, images: number): void {
  print(`${network}, ${images} images per rank, on ${device}; ${mpi}\n`);
  const alone = compute.map((each) => ["1", `${each.images}`, milliseconds(1000 * each.seconds), "", "", "", ""]);
  const together = samples.map((each) => [
    `${each.ranks}`,
    `${each.images}`,
    milliseconds(1000 * each.computeSeconds),
    milliseconds(1000 * each.exchangeSeconds),
    milliseconds(1000 * each.stepSeconds),
    percent(hiddenShare(each)),
    `${(each.sentBytes / 1e6).toFixed(1)} MB`,
  ]);
  const head = ["ranks", "images each", "without exchange", "exchange alone", "step", "hidden", "sent by each"];
  print(table([head, ...alone, ...together], [0, 1, 2, 3, 4, 5, 6]));
  const rate = (perSecond: number) => Math.round(perSecond).toLocaleString("en-US");
  const rows = GIGABITS.map((gigabits) => {
    const own = projected.filter((each) => each.gigabits === gigabits);
    return [`${gigabits} Gbit/s`, ...own.map(({ imagesPerSecond }) => rate(imagesPerSecond))];
  });
  print(
    `\nPredicted, not measured: images per second of machines like this one with one rank each, by a model of ` +
      `${milliseconds(1000 * model.stepSeconds)} per step and ${milliseconds(1000 * model.imageSeconds)} per image, ` +
      `with ${percent(model.hidden)} of the exchange hidden:`,
  );
  print(
    table(
      [["ranks", ...PROJECTED.map(String)], ...rows],
      PROJECTED.map((_, i) => i + 1),
    ),
  );
  const one = projected[0]!.imagesPerSecond;
  const ups = GIGABITS.map((gigabits) => {
    const own = projected.filter((each) => each.gigabits === gigabits);
    return [`predicted at ${gigabits} Gbit/s`, ...own.map((each) => `${(each.imagesPerSecond / one).toFixed(2)}×`)];
  });
  const published = PUBLISHED.map(([who, by]) => [
    who,
    ...PROJECTED.map((count) => (count in by ? `${by[count as keyof typeof by].toFixed(2)}×` : "")),
  ]);
  print("\nSpeed-ups, with published ones for comparison:");
  print(
    table(
      [["ranks", ...PROJECTED.map(String)], ...ups, ...published],
      PROJECTED.map((_, i) => i + 1),
    ),
  );
}
