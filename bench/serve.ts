/**
 * Load-tests `serve`: photos over 32 connections for a minute, each answer compared with that of the library for the
 * same photo; before that the library alone, one photo after the other and eight at once. Writes
 * bench/results/serve.json. `bun bench/serve.ts`; `--seconds 10` is a try, `--model imagenet` a network for photos.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "../src/cli/arguments.ts";
import { AlexNetError } from "../src/errors.ts";
import { load, type Classification, type Classifier } from "../src/index.ts";
import { replaceFile } from "../src/io/files.ts";
import { checkRules, count, text, type OptionsOf } from "../src/schema.ts";
import { machine } from "./machine.ts";
import { drawPhotos, HEIGHT, WIDTH } from "./photos.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const OUT = fileURLToPath(new URL("results/serve.json", import.meta.url));
const OPTIONS = {
  seconds: count("How long (60)"),
  connections: count("How many requests at the same time (32)"),
  model: text("A run, weights or a pretrained network (cifar10, the network in the box)"),
  device: text("auto, cpu, gpu (cpu)"),
  out: text("The file to write (bench/results/serve.json)"),
};
/** When memory is first measured: by then every batch size has its memory. */
const SETTLED_SECONDS = 10;
/** Batches of other sizes add up in another order. */
const ROUNDING = 1e-5;
/** As many at once as the library is tried with, and how often. */
const [AT_ONCE, ROUNDS] = [8, 10];

const image = (bytes: Uint8Array) => ({ method: "POST", body: bytes as Uint8Array<ArrayBuffer> });

/** How far two answers about a photo are from each other; Infinity if they name other classes. */
function difference(a: Classification, b: Classification): number {
  const of = new Map(b.classes.map(({ name, probability }) => [name, probability]));
  return Math.max(...a.classes.map(({ name, probability }) => Math.abs(probability - (of.get(name) ?? Infinity))));
}

async function main({
  seconds = 60,
  connections = 32,
  device = "cpu",
  model: name = "cifar10",
  ...given
}: OptionsOf<typeof OPTIONS>) {
  const photos = await drawPhotos(1);
  try {
    const files = readdirSync(photos.folder, { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".jpg"),
    );
    const jpegs = files.sort().map((file) => readFileSync(join(photos.folder, file)));
    await using model = await load(name, { device, fetch: true });
    await model.warmUp();
    const expected: Classification[] = [];
    for (const jpeg of jpegs) expected.push(await model.classify(jpeg, { top: model.classes.length }));
    const library = await tryLibrary(model, jpegs);
    await model.close();
    const served = await tryServer({ weights: model.weights, device, seconds, connections }, jpegs, expected);
    const { network, device: on } = model;
    const result = { machine: machine(), network, device: on, photos: `${WIDTH} × ${HEIGHT} JPEG`, library, served };
    const out = given.out ?? OUT;
    await replaceFile(out, (append) => append(new TextEncoder().encode(`${JSON.stringify(result, null, 2)}\n`)));
    console.log(JSON.stringify(result, null, 2));
    if (served.lost > 0 || served.exitCode !== 0) throw new AlexNetError(`${served.lost} requests were lost`);
  } finally {
    photos.remove();
  }
}

/** Rates of the library, in images a second: the best of several rounds, in turns. */
async function tryLibrary(model: Classifier, jpegs: readonly Uint8Array[]) {
  const eight = jpegs.slice(0, AT_ONCE);
  let [alone, together] = [0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    let start = performance.now();
    for (const jpeg of eight) await model.classify(jpeg);
    alone = Math.max(alone, (1000 * AT_ONCE) / (performance.now() - start));
    start = performance.now();
    await Promise.all(eight.map((jpeg) => model.classify(jpeg)));
    together = Math.max(together, (1000 * AT_ONCE) / (performance.now() - start));
  }
  return { oneAfterTheOther: round(alone), eightAtOnce: round(together), times: round(together / alone) };
}

interface Load {
  readonly weights: string;
  readonly device: string;
  readonly seconds: number;
  readonly connections: number;
}

async function tryServer(
  { weights, device, seconds, connections }: Load,
  jpegs: readonly Uint8Array[],
  expected: readonly Classification[],
) {
  const command = [process.execPath, MAIN, "serve", weights, "--device", device, "--port", "0", "--json"];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const { url } = JSON.parse(new TextDecoder().decode(value)) as { url: string };
  const latencies: number[] = [];
  let [next, lost, worst] = [0, 0, 0];
  const start = performance.now();
  const memory = (async () => {
    await Bun.sleep(1000 * Math.min(SETTLED_SECONDS, seconds / 2));
    return megabytesOf(url);
  })();
  const connection = async () => {
    while (performance.now() - start < 1000 * seconds) {
      const i = next++ % jpegs.length;
      const sent = performance.now();
      try {
        const answer = await fetch(`${url}classify`, image(jpegs[i]!));
        if (answer.status !== 200) throw new Error(`status ${answer.status}: ${await answer.text()}`);
        worst = Math.max(worst, difference((await answer.json()) as Classification, expected[i]!));
        latencies.push(performance.now() - sent);
      } catch (error) {
        if (lost++ === 0) process.stderr.write(`${error}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  const took = (performance.now() - start) / 1000;
  const [early, late] = [await memory, await megabytesOf(url)];
  const text = await (await fetch(`${url}metrics`)).text();
  const numberOf = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  const [images, batches] = [numberOf("alexnet_images_total"), numberOf("alexnet_batches_total")];
  if (images !== latencies.length) lost += Math.abs(images - latencies.length);
  if (!(worst <= ROUNDING)) throw new AlexNetError(`an answer differs by ${worst} from the library's`);
  child.kill("SIGTERM");
  const exitCode = await child.exited;
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!);
  return {
    ...{ connections, seconds: round(took), images, lost, exitCode },
    imagesPerSecond: round(images / took),
    imagesPerBatch: round(images / batches),
    ms: { median: at(0.5), percentile99: at(0.99), longest: at(1) },
    megabytes: { after10Seconds: early, atTheEnd: late },
    largestDifference: worst,
  };
}

async function megabytesOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}metrics`)).text();
  return Math.round(Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)![1]) / 2 ** 20);
}

/** To three digits. */
function round(value: number): number {
  return Number(value.toPrecision(3));
}

const options = readArguments(process.argv.slice(2), OPTIONS);
checkRules(options, OPTIONS);
await main(options as OptionsOf<typeof OPTIONS>);
