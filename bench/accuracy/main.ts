/**
 * How many validation photos are classified correctly after so many minutes, for several sets and seeds:
 *
 *   bun bench/accuracy/main.ts SET… [--minutes 1,5] [--seeds 3] [--out FILE] [-- OPTIONS OF TRAIN]
 *
 * A set is what `train` takes: a folder of class folders, or train/ and val/ of these. With 0 minutes, the last layer
 * alone is trained. Every training is a command of its own, as a person would start it, on a machine that should do
 * nothing else; the pretrained weights should have been fetched. It prints a Markdown table and writes
 * bench/results/photos-accuracy.json, after each row.
 */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { end, print, say } from "../../src/cli/terminal.ts";
import { AlexNetError, UsageError } from "../../src/errors.ts";
import { replaceFile } from "../../src/io/files.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { percent } from "../../src/words.ts";
import { machine } from "../machine.ts";
import { outcomeOf, photosTable, type PhotosRow, type Timed } from "./photos.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const RESULTS = fileURLToPath(new URL("../results/photos-accuracy.json", import.meta.url));

/** What `train --json` reports, with the times at which it did. @throws AlexNetError when it fails */
async function train(set: string, minutes: number, seed: number, more: readonly string[]): Promise<Timed[]> {
  using folder = temporaryFolder("alexnet-accuracy-");
  const length = minutes === 0 ? ["--epochs", "0"] : ["--minutes", String(minutes)];
  const options = [...length, "--seed", String(seed), "--out", join(folder.path, "run"), "--json", ...more];
  const began = performance.now();
  const child = Bun.spawn([process.execPath, MAIN, "train", set, ...options], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const events: Timed[] = [];
  let text = "";
  const decoder = new TextDecoder();
  for await (const part of child.stdout) {
    text += decoder.decode(part, { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    const seconds = (performance.now() - began) / 1000;
    for (const line of lines) events.push({ seconds, event: JSON.parse(line) });
  }
  if ((await child.exited) !== 0) throw new AlexNetError(`the training of ${set} with seed ${seed} failed`);
  return events;
}

function readCommand() {
  const words = process.argv.slice(2);
  const mark = words.includes("--") ? words.indexOf("--") : words.length;
  const { values, positionals: sets } = parseArgs({
    args: words.slice(0, mark),
    allowPositionals: true,
    options: {
      minutes: { type: "string", default: "1,5" },
      seeds: { type: "string", default: "3" },
      out: { type: "string", default: RESULTS },
    },
  });
  const more = words.slice(mark + 1);
  if (sets.length === 0) throw new UsageError("name a set: bun bench/accuracy/main.ts SET…");
  const minutes = values.minutes.split(",").map(Number);
  const wrong = minutes.find((each) => !(each >= 0));
  if (wrong !== undefined) throw new UsageError(`--minutes ${values.minutes}: must be numbers, at least 0`);
  const seeds = Number(values.seeds);
  if (!Number.isSafeInteger(seeds) || seeds < 1) throw new UsageError(`--seeds ${values.seeds}: must be 1 or more`);
  return { sets, minutes, seeds, more, out: values.out };
}

async function main(): Promise<void> {
  const { sets, minutes, seeds, more, out } = readCommand();
  const rows: PhotosRow[] = [];
  for (const set of sets) {
    for (const each of minutes) {
      const outcomes: PhotosRow["outcomes"][number][] = [];
      let images: PhotosRow["images"] | undefined;
      for (let seed = 0; seed < seeds; seed++) {
        const found = outcomeOf(seed, await train(set, each, seed, more));
        outcomes.push(found.outcome);
        images = found.images;
        const { accuracy, seconds } = found.outcome;
        say.info(`${set}, ${each} min, seed ${seed}: ${percent(accuracy)} after ${seconds.toFixed(0)} s`);
      }
      rows.push({ set: basename(set), images: images!, minutes: each, outcomes });
      const text = `${JSON.stringify({ machine: machine(), options: more, rows }, undefined, 2)}\n`;
      await replaceFile(out, (append) => append(new TextEncoder().encode(text)));
    }
  }
  print(photosTable(rows));
}

try {
  await main();
  await end(0);
} catch (error) {
  say.error(error instanceof Error ? error.message : String(error));
  await end(error instanceof AlexNetError ? error.exitCode : 1);
}
