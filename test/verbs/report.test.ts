/** The report of a run: its contents, that it is one file without scripts, and that it never stops a training. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import { CheckpointError, UsageError } from "../../src/errors.ts";
import { interval95 } from "../../src/inference/answers.ts";
import { defineNetwork } from "../../src/net/definition.ts";
import { fc } from "../../src/net/layers/index.ts";
import { historyCsv, readHistory } from "../../src/runs/history.ts";
import { Run } from "../../src/runs/runs.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { report } from "../../src/verbs/report/report.ts";
import { train } from "../../src/verbs/train/train.ts";
import { percent } from "../../src/words.ts";
import { cli, jsonLines, tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const options = { ...tiny, data: at("photos"), epochs: 2 };
/** File names have no slash; config.json and start.json may hold anything. */
const HOSTILE = `<img src=x onerror=alert(1)>"'&\u202e</style><script>alert(2)</script>`;

beforeAll(async () => {
  await makePhotos(at("photos"), 6, 20);
  await train({ ...options, out: at("run") });
});

/** Without the white space between elements. */
const page = (run: string) => readFileSync(at(run, "report.html"), "utf8").replace(/>\s+</g, "><");

test("a training writes it: scores, answers, commands, curves, filters, settings, device, numbers, links", () => {
  const text = page("run");
  for (const heading of [
    "By class",
    "Confusion matrix",
    "Worst mistakes",
    "Right answers",
    "Commands",
    "Loss",
    "Accuracy",
    "Learning rate",
    "Images a second",
    "Filters of conv1",
    "Training",
    "Model and data",
    "Files",
  ]) {
    // prettier-ignore
    expect(text).toContain(`<h2>${heading}</h2>`);
  }
  const { epochs } = readHistory(new Run(at("run")));
  const best = Math.min(...epochs.map(({ val }) => val.top1));
  expect(text).toContain(`<b>${percent(1 - best)}</b>`);
  const [low, high] = interval95(Math.round(12 * best), 12);
  expect(text).toContain(`of 12 validation images; 95% interval: ${percent(1 - high)} to ${percent(1 - low)}`);
  expect(text).toContain("1 thread");
  expect(text).toContain(`<th scope="row">seed</th><td>0</td>`);
  const links = [...text.matchAll(/<a href="([^"]*)"/g)].map(([, link]) => link!);
  expect(links).toContain("best.safetensors");
  for (const link of links) expect(existsSync(at("run", link)), link).toBe(true);
});

test("it is one file, without scripts or external resources", () => {
  const text = page("run");
  expect(text).not.toMatch(/<script|<link|javascript:|\son\w+=/i);
  const sources = [...text.matchAll(/src="([^"]*)"/g)].map(([, source]) => source!);
  expect(sources.length).toBeGreaterThan(0);
  for (const source of sources) expect(source).toStartWith("data:image/");
  expect(text.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:/);
  expect(text).toContain(`http-equiv="Content-Security-Policy" content="default-src 'none'; `);
});

/** The cells of a table's rows, as text. */
const rowsOf = (table: string) =>
  (table.match(/<tr>.*?<\/tr>/gs) ?? []).map((row) =>
    [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell!.replace(/<[^>]*>/g, "").trim()),
  );

test("the scores of each class are those of the confusion matrix, which is shown in numbers", () => {
  const { classes, entries } = new Run(at("run")).readConfusion()!;
  const sum = (is: (label: number, predicted: number) => boolean) =>
    entries.reduce((all, [label, predicted, images]) => all + (is(label, predicted) ? images : 0), 0);
  const scores = rowsOf(/<table class="classes">.*?<\/table>/s.exec(page("run"))![0]);
  const matrix = rowsOf(/<table class="matrix">.*?<\/table>/s.exec(page("run"))![0]);
  expect(scores[0]).toEqual(["class", "right", "recall", "precision"]);
  for (const [k, name] of classes.entries()) {
    const right = sum((label, predicted) => label === k && predicted === k);
    const predicted = sum((_, predicted) => predicted === k);
    const precision = predicted === 0 ? "–" : percent(right / predicted);
    expect(scores[1 + k]).toEqual([name, `${right} of 2`, percent(right / 2), precision]);
    const row = classes.map((_, j) => sum((label, predicted) => label === k && predicted === j));
    expect(matrix[1 + k]).toEqual([name, ...row.map((images) => (images === 0 ? "" : String(images)))]);
  }
});

test("of many classes: the worst of them, the matrix as a picture, the largest confusions", async () => {
  await cp(at("run"), at("many"), { recursive: true });
  const classes = Array.from({ length: 60 }, (_, k) => `${HOSTILE} ${k}`);
  const entries = classes.flatMap((_, k) => [[k, k, 100 - k], [k, (k + 1) % 60, k + 1]]); // prettier-ignore
  writeFileSync(at("many", "confusion.json"), JSON.stringify({ epoch: 1, classes, entries }));
  await report({ run: at("many") });
  const text = page("many");
  expect(text).toContain("<h2>The 20 classes with the lowest recall, of 60</h2>");
  const [worst, all, confusions] = text.match(/<table class="classes">.*?<\/table>/gs)!.map(rowsOf);
  expect(worst!.map(([, right]) => right)).toEqual([
    "right",
    ...Array.from({ length: 20 }, (_, i) => `${41 + i} of 101`),
  ]);
  expect(all!.length).toBe(61);
  expect(confusions!.map(([, images]) => images).slice(0, 3)).toEqual(["images", "60 of 101", "59 of 101"]);
  expect(confusions!.length).toBe(21);
  const [, drawn] = /src="data:image\/svg\+xml;base64,([^"]*)"/.exec(text)!;
  const svg = Buffer.from(drawn!, "base64").toString();
  // The classes are too many to be named in it.
  expect(svg).toContain("60 classes");
  expect(svg).not.toContain("60 of 101");
  expect(text).toContain("&#60;img src=x");
  expect(`${text}${svg}`).not.toMatch(/<img src=x|<script|\u202e/);
});

test("it says how to train the run again, to the same bytes, and how to go on", async () => {
  const again = /<code>bun run train (.*?)<\/code>/.exec(page("run"))![1]!;
  expect(again).toBe(
    `${at("photos")} --model relu-or-tanh --batch 16 --rate 0.0001 --device cpu --threads 1 --epochs 2`,
  );
  expect(page("run")).toContain(`<code>bun run train ${at("photos")} --from ${at("run")}</code>`);
  expect(page("run")).toContain(`<code>bun run predict --model ${at("run")} PHOTO</code>`);
  const { code } = await cli(["train", ...again.split(" "), "--out", "again"], { cwd: folder.path });
  expect(code).toBe(0);
  const bytes = (run: string) => readFileSync(at(run, "best.safetensors"));
  expect(bytes("again").equals(bytes("run"))).toBe(true);
});

const figures = (text: string) => text.match(/<figure>.*?<\/figure>/gs) ?? [];

test("of right and wrong answers: photo and map of each, as many as there are validation images", async () => {
  const { examples } = new Run(at("run")).readConfusion()!;
  const shown = figures(page("run"));
  expect(shown).toHaveLength(12);
  for (const [i, { image, label, predicted }] of examples!.entries()) {
    expect(shown[i]!.match(/<img/g)).toHaveLength(2);
    expect(shown[i]).toContain(`<b>c${predicted}</b>`);
    expect(shown[i]).toContain(`<span>${basename(image)}</span>`);
    expect(shown[i]!.includes(`true class: c${label}`)).toBe(label !== predicted);
  }
  expect(page("run")).toContain("red where conv3 speaks for the answer");
});

test("images that are gone are left out, and it says so", async () => {
  await cp(at("run"), at("poor"), { recursive: true });
  const { image } = new Run(at("poor")).readConfusion()!.examples![0]!;
  renameSync(at("photos", image), at("away"));
  await report({ run: at("poor") });
  renameSync(at("away"), at("photos", image));
  expect(page("poor")).toContain("1 of 12 images can&#39;t be read any more");
  // Without it, others would be held out: the rest is found all the same.
  expect(figures(page("poor"))).toHaveLength(11);
  renameSync(at("photos"), at("elsewhere"));
  await report({ run: at("poor") });
  renameSync(at("elsewhere"), at("photos"));
  expect(page("poor")).toContain(`The images can&#39;t be shown: ${at("photos")} does not exist`);
  expect(figures(page("poor"))).toEqual([]);
  rmSync(at("poor", "best.safetensors"));
  await report({ run: at("poor") });
  expect(page("poor")).not.toContain("Right answers");
});

test("a network without convolutions has no maps, only the images", async () => {
  const model = defineNetwork({ crop: 32, layers: (classes) => [fc("fc1", classes, { sigma: 0.01 })] });
  await train({ ...options, model, epochs: 1, out: at("flat") });
  expect(figures(page("flat"))).toHaveLength(12);
  for (const figure of figures(page("flat"))) expect(figure.match(/<img/g)).toHaveLength(1);
  expect(page("flat")).not.toContain("Grad-CAM");
});

test("untrusted names are shown as text", async () => {
  await cp(at("run"), at("hostile"), { recursive: true });
  for (const [file, changes] of [
    ["config.json", { data: HOSTILE, val: HOSTILE }],
    ["start.json", { data: HOSTILE, device: HOSTILE, network: HOSTILE }],
    ["confusion.json", { classes: Array(6).fill(HOSTILE) }],
  ] as const) {
    const contents = JSON.parse(readFileSync(at("hostile", file), "utf8"));
    writeFileSync(at("hostile", file), JSON.stringify({ ...contents, ...changes }));
  }
  await report({ run: at("hostile") });
  const text = page("hostile");
  expect(text).toContain("&#60;img src=x onerror=alert(1)&#62;");
  expect(text).not.toMatch(/<img src=x|<script|\u202e/);
});

test("drawn again it is the same, and log.csv has the log", async () => {
  const before = page("run");
  rmSync(at("run", "report.html"));
  expect(await report({ run: at("run"), csv: true })).toEqual([at("run", "report.html"), at("run", "log.csv")]);
  const rows = readFileSync(at("run", "log.csv"), "utf8").trimEnd().split("\n");
  const [names, ...lines] = rows.map((row) => row.split(","));
  const entries = jsonLines(readFileSync(at("run", "log.jsonl"), "utf8"));
  expect(lines.map((line) => Number(line[names!.indexOf("val_top1")]))).toEqual(entries.map(({ val }) => val.top1));
  expect(lines.map((line) => Number(line[names!.indexOf("train_loss")]))).toEqual(
    entries.map(({ train }) => train.loss),
  );
  rmSync(at("run", "log.csv"));
  await report({ run: at("run") });
  expect(page("run")).toBe(before);
});

test("in log.csv, steps come before their epoch, with missing cells empty", () => {
  const means = { loss: 1, top1: 0.5, top5: 0.25 };
  const csv = historyCsv({
    epochs: [
      { epoch: 1, step: 100, train: means, val: means, rate: 0.01, imagesPerSecond: 7, dataWait: 0, seconds: 9 },
    ],
    steps: [50, 100].map((step) => ({ step, epoch: 1, loss: 2, top1: 0.75, imagesPerSecond: 8, dataWait: 0.5 })),
  });
  expect(csv).toBe(
    "epoch,step,train_loss,train_top1,train_top5,val_loss,val_top1,val_top5,rate,images_per_second,data_wait,seconds\n" +
      "1,50,2,0.75,,,,,,8,0.5,\n1,100,2,0.75,,,,,,8,0.5,\n1,100,1,0.5,0.25,1,0.5,0.25,0.01,7,0,9\n",
  );
});

test("without start.json, confusion.json, and half a line of the log, as old versions or a kill leave it", async () => {
  await cp(at("run"), at("bare"), { recursive: true });
  for (const file of ["start.json", "best.safetensors"]) rmSync(at("bare", file));
  writeFileSync(at("bare", "confusion.json"), `{"epoch":1,"classes":["a"],"entries":[[0,7,1]]}`);
  writeFileSync(at("bare", "log.jsonl"), `${readFileSync(at("run", "log.jsonl"), "utf8")}{"step":9,"val":{}}\n{"ste`);
  await report({ run: at("bare") });
  expect(page("bare")).toContain("2 of 2");
  expect(page("bare")).toContain("of the last save");
  expect(page("bare")).not.toContain("Confusion matrix");
});

test("errors: no run, and damaged settings or weights", async () => {
  await expect(report({ run: at("none") })).rejects.toThrow(UsageError);
  await cp(at("run"), at("damaged"), { recursive: true });
  writeFileSync(at("damaged", "best.safetensors"), "weights");
  await expect(report({ run: at("damaged") })).rejects.toThrow(CheckpointError);
});

test("a page that can't be written is only a warning", async () => {
  mkdirSync(at("blocked", "report.html", "x"), { recursive: true });
  const events: TrainEvent[] = [];
  const result = await train({ ...options, epochs: 1, out: at("blocked"), onEvent: (event) => events.push(event) });
  expect(result.interrupted).toBe(false);
  const warnings = events.filter(({ type }) => type === "warning") as { line: string }[];
  expect(warnings).toHaveLength(1);
  expect(warnings[0]!.line).toMatch(/^the report could not be drawn: can't write .*report\.html/);
  expect(existsSync(at("blocked", "best.safetensors"))).toBe(true);
});

test("the command prints what it wrote", async () => {
  const { code, stdout, stderr } = await cli(["report", "run", "--json"], { cwd: folder.path });
  expect([code, stderr]).toEqual([0, ""]);
  expect(jsonLines(stdout)).toEqual([{ files: [at("run", "report.html")] }]);
  renameSync(at("run"), at("moved"));
  const missing = await cli(["report", "run"], { cwd: folder.path });
  expect(missing.code).toBe(2);
  renameSync(at("moved"), at("run"));
});
