/** `bun run bench [SUITE]`: times kernels, layers and whole steps on this machine's devices. See README.md. */
import { bold, dim, here, print, ProgressLine, say } from "../src/cli/terminal.ts";
import { runVerb, verb } from "../src/cli/verb.ts";
import { DEVICE_OPTIONS } from "../src/devices/open.ts";
import { UsageError } from "../src/errors.ts";
import { allowDownloads } from "../src/native/permission.ts";
import { openNetwork } from "../src/net/network_file.ts";
import { findNetwork } from "../src/net/networks.ts";
import { given } from "../src/options.ts";
import { numberThat } from "../src/rules.ts";
import { flag, number, parsed, parseNumber, text } from "../src/schema.ts";
import { suggest } from "../src/suggest.ts";
import { Bench, type Limits, type Listener } from "./bench.ts";
import { writeChart } from "./chart.ts";
import { compare, comparisonText } from "./compare.ts";
import { chooseDevices, openBenchDevice, type BenchDevice } from "./devices.ts";
import { machine } from "./machine.ts";
import { deviceText, layersText, rowsText, skippedText } from "./report.ts";
import { profile } from "./profile/profile.ts";
import { FORMAT, type Results } from "./results.ts";
import { readResults, writeResults } from "./results_file.ts";
import { scale } from "./scale/scale.ts";
import { augment } from "./suites/augment.ts";
import { conv } from "./suites/conv.ts";
import { lrn, pointwise, pool } from "./suites/elementwise.ts";
import { layers } from "./suites/layers.ts";
import { loader } from "./suites/loader.ts";
import { matmul } from "./suites/matmul.ts";
import { predict } from "./suites/predict.ts";
import { step } from "./suites/step.ts";
import type { Suite } from "./suites/suite.ts";

const suites: readonly Suite[] = [matmul, conv, pool, lrn, pointwise, augment, loader, layers, step, predict];

const FULL: Limits = { rowMs: 1000, least: 5, most: 50, passMs: 10_000 };
const TOUR: Limits = { rowMs: 100, least: 3, most: 20, passMs: 2000 };
const BATCH = 128;
/** Options that don't apply to `scale` and `profile`, which are not suites. */
const OF_SUITES = ["data", "quick", "longest", "compare", "chart"] as const;
/** Options of `profile` alone. */
const OF_PROFILE = ["minutes", "out", "note"] as const;
/** For a GPU at hand for ten minutes. */
const MINUTES = 9;

const command = verb({
  description: "Run benchmarks: a two-minute tour, or one suite in full",
  options: {
    suite: text(
      `${suites.map(({ name }) => name).join(", ")}; scale: steps of several ranks (MPI); profile: all about one device, with a page`,
      { place: "word" },
    ),
    ranks: parsed(
      "number[]",
      listOf("whole numbers above 1", (n) => n > 1),
      "Numbers of ranks for scale, besides one (2,4)",
      {
        hint: "N,M",
      },
    ),
    ...DEVICE_OPTIONS,
    device: text("One or several, side by side: auto, cpu (with and without BLAS), cpu:blas, cpu:wasm, gpu, gpu:0", {
      hint: "A,B",
    }),
    model: text("The network whose layers and steps are timed (alexnet; in the tour on a software GPU cifar10-18pct)", {
      hint: "NAME",
    }),
    batch: parsed(
      "number[]",
      listOf("whole numbers above 0", (n) => n > 0),
      `Images per batch, one or several numbers (${BATCH})`,
      { hint: "N,M" },
    ),
    data: text("Images for the loader: a folder or archive (drawn ones)", { hint: "PATH" }),
    quick: flag("Fewer sizes and measurements, as in the tour"),
    longest: number("Skip work that takes longer than this many seconds (10)", {
      hint: "S",
      rule: numberThat((s) => s > 0, "above 0"),
    }),
    compare: text("Compare with an earlier --json file", { hint: "FILE" }),
    minutes: number(`How long profile may take (${MINUTES})`, { hint: "N", rule: numberThat((n) => n > 0, "above 0") }),
    out: text("The folder for profile's JSON and page (this one)", { hint: "FOLDER" }),
    note: text("What profile's files should say of this run, such as what else the machine was doing", {
      hint: "TEXT",
    }),
    chart: text("Draw a bar chart of each suite: FILE-SUITE.svg", { hint: "FILE.svg", rule: endsInSvg }),
  },
  flags: {
    json: text("Write all measurements to a file", { hint: "FILE" }),
  },
  async run(args, { json }) {
    if (args.suite === "scale" || args.suite === "profile") {
      const { suite, batch = [] } = args;
      for (const option of OF_SUITES) {
        if (args[option] !== undefined) throw new UsageError(`--${option} does not apply to bench ${suite}`);
      }
      if (batch.length > 1) throw new UsageError(`--batch ${batch.join()}: bench ${suite} takes one`);
    }
    if (args.suite === "profile") {
      for (const option of ["ranks", "blas", "threads", "tune"] as const) {
        if (args[option] !== undefined) throw new UsageError(`--${option} does not apply to bench profile`);
      }
      if (json !== undefined)
        throw new UsageError("--json does not apply to bench profile: it writes a file into --out");
      const { device = "auto", minutes = MINUTES, out: folder = ".", note, model, batch } = args;
      return (await profile({ device, minutes, folder, ...given({ note, model, images: batch?.[0] }) })) ? 0 : 1;
    }
    for (const option of OF_PROFILE) {
      if (args[option] !== undefined) throw new UsageError(`--${option} is only for bench profile`);
    }
    if (args.suite === "scale") {
      const { device, blas, threads, tune } = args;
      await scale({
        network: findNetwork(args.model ?? "alexnet"),
        images: args.batch?.[0] ?? 32,
        ranks: args.ranks ?? [2, 4],
        device: given({ device, blas, threads, tune }),
        ...given({ json }),
      });
      return 0;
    }
    if (args.ranks !== undefined) throw new UsageError("--ranks is only for bench scale");
    const chosen = args.suite === undefined ? suites : [findSuite(args.suite)];
    const isTour = args.suite === undefined || args.quick === true;
    const named = args.model === undefined ? undefined : await openNetwork(args.model);
    const before = args.compare === undefined ? undefined : readResults(args.compare);
    const { device: names = "auto", longest } = args;
    const cpu = given({ blas: args.blas, threads: args.threads });
    const opened: BenchDevice[] = [];
    try {
      for (const name of await chooseDevices({ names, ...cpu })) opened.push(await openBenchDevice(name, cpu.threads));
      print(opened.map((device) => dim(deviceText(device))).join("\n"));
      const { images, model } = tourSize(opened);
      const network = named ?? findNetwork(isTour ? model : "alexnet");
      const limits = isTour ? TOUR : FULL;
      const bench = new Bench(opened, { ...limits, ...given({ passMs: longest && 1000 * longest }) }, new Screen());
      const about = machine();
      const results = (): Results => ({
        ...{ format: FORMAT, machine: about, rows: bench.rows, skipped: bench.skipped },
        devices: opened.map(({ device, description, adapter, driver, roof }) => ({
          ...{ device, description, roof },
          ...given({ adapter, driver }),
        })),
      });
      for (const suite of chosen) {
        const options = {
          network,
          quick: isTour,
          batches: args.batch?.toSorted((a, b) => a - b) ?? [isTour ? images : BATCH],
        };
        const first = { rows: bench.rows.length, skipped: bench.skipped.length };
        await suite.run(bench, { ...options, ...given({ data: args.data }) });
        show(suite, bench, first);
        // After each suite, so that an interrupted run leaves its measurements.
        if (json !== undefined) await writeResults(json, results());
        if (args.chart !== undefined) await writeChart(args.chart, suite.name, results());
      }
      if (before) print(`\n${comparisonText(compare(results(), before), here(args.compare!))}`);
      for (const { name, contestant, device, reason } of bench.wrong)
        say.error(`${name}, ${contestant} on ${device}: ${reason}`);
      return bench.wrong.length > 0 ? 1 : 0;
    } finally {
      for (const { backend } of opened) await backend.close();
    }
  },
});

/** @throws UsageError when there is no suite of this name */
function findSuite(name: string): Suite {
  const suite = suites.find((candidate) => candidate.name === name);
  if (suite) return suite;
  const names = [...suites.map((candidate) => candidate.name), "scale", "profile"];
  throw new UsageError(`there is no suite "${name}"${suggest(name, names)}; there are ${names.join(", ")}`);
}

/** Numbers with commas between, each of which must be `right`. */
function listOf(must: string, right: (value: number) => boolean) {
  return (words: string, flag: string): readonly number[] =>
    words.split(",").map((word) => {
      const value = parseNumber(word, flag);
      if (Number.isInteger(value) && right(value)) return value;
      throw new UsageError(`${flag} ${word}: must be ${must}`);
    });
}

function endsInSvg(file: unknown): string | undefined {
  return /.\.svg$/.test(String(file)) ? undefined : ` ${String(file)}: must end in .svg`;
}

/** Keeps the tour to about two minutes: a software GPU is a hundred times slower than the cpu it runs on. */
function tourSize(devices: readonly BenchDevice[]): { images: number; model: string } {
  if (devices.some(({ isSoftware }) => isSoftware)) return { images: 4, model: "cifar10-18pct" };
  return { images: devices.some(({ backend }) => backend.kind === "cpu") ? 16 : BATCH, model: "alexnet" };
}

function show(suite: Suite, { rows, skipped }: Bench, first: { rows: number; skipped: number }): void {
  print(`\n${bold(suite.name)}  ${dim(suite.about)}`);
  const own = rows.slice(first.rows);
  if (own.length > 0 && suite === layers) print(layersText(own));
  else if (own.length > 0) print(rowsText(own, process.stdout.isTTY ? process.stdout.columns : Infinity));
  const notes = skippedText(skipped.slice(first.skipped));
  if (notes) print(dim(notes));
  if (own.length === 0 && !notes) print(dim("the network has no such layers"));
}

/** Shows what is being measured on a temporary line. */
class Screen implements Listener {
  readonly #line = new ProgressLine();
  working(piece: string): void {
    this.#line.update(piece);
  }
  row(): void {
    ProgressLine.clear();
  }
  skipped(): void {
    ProgressLine.clear();
  }
}

allowDownloads((line) => say.info(line));
await runVerb("bench", command, process.argv.slice(2));
