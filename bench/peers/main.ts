/**
 * Benchmarks our program against others on this machine, in turns:
 *
 *   bun bench/peers/main.ts [matmul] [alexnet] [alexnet-owt] [cifar10-18pct] [cifar10-airbench] [resnet18]
 *     [efficientnet-lite0] [photos] [predict]
 *     [--peers torch,jax-js,…] [--device cpu|gpu] [--rounds 2] [--seconds N] [--batch 32,128] [--save] [--install]
 *
 * Each contestant is a separate process and runs alone. In every round all take a turn, so that other load on the
 * machine affects all alike. --save writes bench/results/peers-NAME.json.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { end, print, say } from "../../src/cli/terminal.ts";
import { decodeRecord } from "../../src/data/decode.ts";
import { AlexNetError, UsageError } from "../../src/errors.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { suggest } from "../../src/suggest.ts";
import { machine } from "../machine.ts";
import { drawPhotos, HEIGHT, WIDTH } from "../photos.ts";
import { FORMAT, type Device } from "../results.ts";
import { writeResults } from "../results_file.ts";
import { contestants, FOLDER, missingInPython, OURS, PYTHON, THREADS, type Contestant } from "./contestants.ts";
import { fixtures, photo } from "./fixtures.ts";
import type { Job, Outcome } from "./job.ts";
import { losses, Rows, table, type Piece } from "./rows.ts";
import { runContestant, runProcess } from "./run.ts";
import { installPeers } from "./setup.ts";

const NETWORKS = [
  "alexnet",
  "alexnet-owt",
  "cifar10-18pct",
  "cifar10-airbench",
  "resnet18",
  "efficientnet-lite0",
] as const;
const SUITES = ["matmul", ...NETWORKS, "photos", "predict"] as const;
type Suite = (typeof SUITES)[number];

interface PeersOptions {
  readonly suites: readonly Suite[];
  /** Only these peers; all by default. */
  readonly peers?: readonly string[] | undefined;
  readonly device: "cpu" | "gpu";
  readonly rounds: number;
  /** Measuring time of each result per round; the suite's own by default. */
  readonly seconds?: number | undefined;
  readonly batches: readonly number[];
  readonly save: boolean;
  readonly say: (line: string) => void;
}

/** Runs the suites one after the other and prints a table for each. @throws UsageError */
async function runPeers(options: PeersOptions): Promise<void> {
  const { device, peers, save, say, suites } = options;
  const all = contestants(device);
  const unknown = peers?.find((id) => !all.some((each) => each.id === id));
  if (unknown !== undefined) {
    const ids = all.filter(({ ours }) => !ours).map(({ id }) => id);
    throw new UsageError(
      `there is no peer "${unknown}"${suggest(unknown, ids)}; on ${device} there are ${ids.join(", ")}`,
    );
  }
  const chosen = all.filter(({ ours, id }) => ours || !peers || peers.includes(id));
  for (const suite of suites) {
    const rows = new Rows();
    if (suite === "predict") await predict(options, rows);
    else if (suite === "matmul") await matmul(options, chosen, rows);
    else if (suite === "photos") await photos(options, chosen, rows);
    else await step(suite, options, chosen, rows);
    say(`\n${table(rows.rows, rows.skipped)}\n`);
    losses(rows.rows).forEach((line) => say(`We lose at ${line}.`));
    if (!save) continue;
    const path = fileURLToPath(
      new URL(`../results/peers-${device === "gpu" ? "gpu-" : ""}${suite}.json`, import.meta.url),
    );
    const devices = DEVICES.filter((each) => rows.rows.some((row) => row.device === each.device));
    await writeResults(path, { format: FORMAT, machine: machine(), devices, rows: rows.rows, skipped: rows.skipped });
    say(`\nSaved as ${path}`);
  }
}

const DEVICES: readonly Device[] = [
  { device: "cpu:wasm", description: `WebAssembly on ${THREADS} threads or fewer` },
  { device: "cpu:blas", description: `WebAssembly with the machine's BLAS on ${THREADS} threads` },
  { device: "cpu", description: `native code on ${THREADS} threads or fewer` },
  { device: "gpu", description: "the best GPU through wgpu" },
  { device: "cuda", description: "the first GPU through CUDA" },
];

async function matmul(options: PeersOptions, chosen: readonly Contestant[], rows: Rows): Promise<void> {
  const { device, seconds = 1 } = options;
  const sizes = device === "gpu" ? [1024, 2048, 4096] : [256, 512, 1024, 2048];
  for (const threads of device === "gpu" ? [THREADS] : [...new Set([1, THREADS])]) {
    const suffix = device === "gpu" ? "" : threads === 1 ? ", 1 thread" : `, ${threads} threads`;
    const pieces = sizes.map((size): Piece => {
      const name = `${size} × ${size} × ${size}${suffix}`;
      return { task: "matmul", name, result: String(size), work: { unit: "flop", amount: 2 * size ** 3 } };
    });
    await contest(options, chosen, rows, pieces, { task: "matmul", sizes, threads, device, seconds });
  }
}

async function step(model: string, options: PeersOptions, chosen: readonly Contestant[], rows: Rows): Promise<void> {
  const { batches, device, say, seconds = model === "cifar10-18pct" ? 4 : 8 } = options;
  say(`Preparing ${model}: weights, and logits of two images in float64`);
  const files = await fixtures(join(FOLDER, "fixtures"), model);
  const { recipe } = findNetwork(model);
  const settings = { rate: 0.001, momentum: recipe.momentum, decay: 0.0005 };
  const able = chosen.filter(({ networks }) => networks?.includes(model) ?? true);
  for (const batch of batches) {
    const work = { unit: "image", amount: batch } as const;
    const pieces = ["training", "forward"].map((result): Piece => {
      return { task: "step", name: `${model} ${result}, batch ${batch}`, result, work };
    });
    await contest(options, able, rows, pieces, {
      ...{ task: "step", model, batch, threads: THREADS, device, seconds, ...settings, ...files },
    });
  }
}

const PHOTOS = 2000;
const RECORD = 256;
const QUALITY = 95;

async function photos(options: PeersOptions, chosen: readonly Contestant[], rows: Rows): Promise<void> {
  const { device, seconds = 8, say } = options;
  say(`Preparing ${PHOTOS} drawn photos and their records`);
  const drawn = await drawPhotos(PHOTOS);
  try {
    const files = new Bun.Glob("**/*.jpg").scanSync({ cwd: drawn.folder, absolute: true });
    const pieces = ["read", "pack"].map((result): Piece => {
      const name = `${PHOTOS.toLocaleString("en-US")} JPEGs of ${WIDTH} × ${HEIGHT} ${result === "read" ? "to records of" : "packed as JPEG of"} ${RECORD}²`;
      return { task: "photos", name, result, work: { unit: "image", amount: PHOTOS } };
    });
    await contest(options, chosen, rows, pieces, {
      ...{ task: "photos", folder: drawn.folder, side: RECORD, quality: QUALITY, threads: THREADS },
      ...{ device, seconds, crc: await crcOf([...files].sort()) },
    });
  } finally {
    drawn.remove();
  }
}

async function crcOf(files: readonly string[]): Promise<number> {
  const record = new Uint8Array(RECORD * RECORD * 3);
  let crc = 0;
  for (const file of files) {
    await decodeRecord({ kind: "encoded", bytes: readFileSync(file) }, RECORD, record);
    crc = Bun.hash.crc32(record, crc);
  }
  return crc;
}

/**
 * A contestant whose timed runs take this long in a round gets no further rounds: its times hardly vary. What is not
 * timed, such as compiling, doesn't count.
 */
const SLOW_MS = 40_000;

async function contest(
  { rounds, say }: PeersOptions,
  chosen: readonly Contestant[],
  rows: Rows,
  pieces: readonly Piece[],
  job: Extract<Job, { threads: number }>,
): Promise<void> {
  const skip = (contestant: Contestant, reason: string) => {
    for (const { task, name } of pieces) rows.skip(contestant, task, name, reason);
  };
  let playing = chosen.filter(({ does }) => does.includes(job.task));
  for (let round = 1; round <= rounds; round++) {
    const again: Contestant[] = [];
    for (const contestant of playing) {
      const threads = Math.min(job.threads, contestant.threads ?? job.threads);
      const missing = contestant.missing();
      if (missing !== undefined) skip(contestant, missing);
      else {
        say(`${pieces[0]!.name} …: ${contestant.name} (${contestant.device}), round ${round}`);
        const ran = await runContestant(contestant, { ...job, threads });
        if (typeof ran === "string") skip(contestant, ran);
        else {
          rows.add(contestant, pieces, ran.outcome);
          if (timed(ran.outcome) < SLOW_MS) again.push(contestant);
        }
      }
    }
    playing = again;
  }
}

/** The ms of all timed runs. */
function timed({ results }: Outcome): number {
  return results.flatMap((result) => ("samples" in result ? result.samples : [])).reduce((sum, ms) => sum + ms, 0);
}

/** Whole processes, from start to exit. Five turns, because a process is short. */
async function predict(options: PeersOptions, rows: Rows): Promise<void> {
  for (const model of ["alexnet", "efficientnet-lite0"]) await predictWith(model, options, rows);
}

async function predictWith(model: string, { say }: PeersOptions, rows: Rows): Promise<void> {
  const folder = join(FOLDER, "fixtures");
  const { weights } = await fixtures(folder, model);
  const image = await photo(folder);
  const piece = { suite: "predict", name: `${model} predict, one image, cold start` };
  const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
  const python = fileURLToPath(new URL("torch_predict.py", import.meta.url));
  const own = [process.execPath, program, "predict", image, "--model", weights, "--device", "cpu", "--json"];
  const entrants = [
    { name: "alexnet.ts", device: "cpu:blas", command: own } as const,
    { name: "alexnet.ts", device: "cpu:wasm", command: [...own, "--blas", "off"] } as const,
    { name: "PyTorch", device: "cpu", command: [PYTHON, python, image, weights, model] } as const,
  ];
  const missing = missingInPython(["torch", "torchvision", "PIL", "numpy", "safetensors"]);
  let expected: Answer | undefined;
  for (let turn = 0; turn <= 5; turn++) {
    for (const { name, device, command } of entrants) {
      const who = { name, device };
      if (device === "cpu" && missing !== undefined) {
        rows.skip(who, piece.suite, piece.name, missing);
        continue;
      }
      say(`${piece.name}: ${name} (${device}), turn ${turn}`);
      const { output, ms, error } = await runProcess(command);
      const found = error === undefined ? readAnswer(output) : undefined;
      expected ??= found;
      if (!found) {
        rows.skip(who, piece.suite, piece.name, error ?? "it names no class");
      } else if (!isSame(found, expected!)) {
        rows.skip(who, piece.suite, piece.name, `it says ${inWords(found)}, the first one ${inWords(expected!)}`);
      } else if (turn > 0) {
        // The first turn fills the file system's cache.
        const work = { unit: "image", amount: 1 } as const;
        const check = "the same most probable class, its probability within 5%";
        rows.measured(who, { ...piece, contestant: found.version, work, check }, [ms]);
      }
    }
  }
}

/** The most probable class. */
interface Answer {
  readonly name: string;
  readonly probability: number;
  readonly version: string;
}

/** Both print a line of JSON: ours has classes with their probabilities, theirs two lists and its version. */
function readAnswer(output: string): Answer | undefined {
  const { classes, probabilities, version = `${OURS}, Bun ${Bun.version}` } = JSON.parse(output);
  if (classes.length === 0) return undefined;
  return probabilities ? { name: classes[0], probability: probabilities[0], version } : { ...classes[0], version };
}

/**
 * The weights are random, so that probabilities are about the same, and resampling that differs in the last bit of a
 * pixel changes the order of those that follow.
 */
function isSame(found: Answer, expected: Answer): boolean {
  return found.name === expected.name && Math.abs(found.probability / expected.probability - 1) <= 0.05;
}

function inWords({ name, probability }: Answer): string {
  return `${name}, ${(100 * probability).toFixed(3)}%`;
}

/** @throws UsageError for invalid arguments */
export function parsePeersArguments(words: string[]): PeersOptions & { install: boolean } {
  const options = {
    peers: { type: "string" },
    device: { type: "string", default: "cpu" },
    rounds: { type: "string", default: "2" },
    seconds: { type: "string" },
    batch: { type: "string", default: "128" },
    save: { type: "boolean", default: false },
    install: { type: "boolean", default: false },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args: words, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  const { values, positionals } = parsed;
  const unknown = positionals.find((name) => !(SUITES as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`there is no suite "${unknown}"${suggest(unknown, SUITES)}; there are ${SUITES.join(", ")}`);
  }
  const device = values.device === "cuda" ? "gpu" : values.device;
  if (device !== "cpu" && device !== "gpu") throw new UsageError(`--device ${device}: must be cpu, gpu or cuda`);
  const positive = (name: string, text: string, isRight: (value: number) => boolean) => {
    const value = Number(text);
    if (isRight(value) && value > 0) return value;
    throw new UsageError(`--${name} ${text}: must be a number above 0`);
  };
  return {
    suites:
      positionals.length > 0
        ? (positionals as Suite[])
        : SUITES.filter((name) => device === "cpu" || !["photos", "predict"].includes(name)),
    peers: values.peers?.split(",").map((id) => id.trim()),
    device,
    rounds: positive("rounds", values.rounds, Number.isInteger),
    seconds: values.seconds === undefined ? undefined : positive("seconds", values.seconds, Number.isFinite),
    batches: values.batch.split(",").map((batch) => positive("batch", batch, Number.isInteger)),
    save: values.save,
    install: values.install,
    say: print,
  };
}

if (import.meta.main) {
  try {
    const options = parsePeersArguments(process.argv.slice(2));
    if (options.install) await installPeers();
    await runPeers(options);
    await end(0);
  } catch (error) {
    if (!(error instanceof AlexNetError)) throw error;
    say.error(error.message);
    await end(error.exitCode);
  }
}
