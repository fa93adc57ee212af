/** Evaluation of one model and of several, and the files it writes. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { openDataset } from "../../src/data/open.ts";
import { openDevice } from "../../src/devices/open.ts";
import { Answers } from "../../src/inference/answers.ts";
import { classify } from "../../src/inference/classify.ts";
import { openTrained } from "../../src/inference/loaded_model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { evaluate, type EvaluateOptions } from "../../src/verbs/evaluate/evaluate.ts";
import { writeSubmission } from "../../src/verbs/evaluate/submission.ts";
import { saveUntrained } from "../support/checkpoints.ts";
import { cli, jsonLines } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { challengeNumber, ilsvrc, photos } from "../support/imagenet.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const CPU = { device: "cpu", threads: 1 } as const;
const CLASSES = ["c0", "c1", "c2"];

/** A network with random weights. */
async function untrained(name: string, network: string, seed: number, classes: readonly string[] = CLASSES) {
  await saveUntrained(at(name), findNetwork(network), classes, seed);
  return at(name);
}

let data: string;
let models: string[];

beforeAll(async () => {
  data = await makePhotos(at("photos"), 3, 7);
  models = [
    await untrained("a.safetensors", "relu-or-tanh", 1),
    await untrained("b.safetensors", "small", 2),
    // Its records have another size.
    await untrained("c.safetensors", "cifar10-13pct", 3),
  ];
});

const run = (options: Partial<EvaluateOptions>) => evaluate({ ...CPU, data, batch: 8, ...options });

/** The rows of a table, without its header. */
const rows = (file: string) =>
  readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));

describe("several models", () => {
  test("the probabilities are the mean of each model's", async () => {
    const { val } = await openDataset(data, { holdOut: 0 });
    const backend = await openDevice(CPU);
    const trained = await Promise.all(models.map((name) => openTrained(name)));
    const members = trained.map((each) => each.load(backend, 8));
    const ask = async (of: typeof members) => {
      const p: number[] = [];
      await classify(of, val, { batch: 8, views: 2 }, (batch) => {
        for (let n = 0; n < batch.valid; n++) for (let k = 0; k < 3; k++) p.push(batch.p[k * batch.images + n]!);
      });
      return p;
    };
    const [all, each] = [await ask(members), []] as [number[], number[][]];
    for (const member of members) each.push(await ask([member]));
    expect(all.length).toBe(21 * 3);
    all.forEach((p, i) =>
      expect(p).toBeCloseTo(
        each.reduce((sum, own) => sum + own[i]! / 3, 0),
        12,
      ),
    );
    expect(new Set(each.map(([first]) => first)).size).toBe(3);
    for (const each of trained) each[Symbol.dispose]();
    await backend.close();
  });

  test("the result names all, and its loss is below the mean of theirs", async () => {
    const alone = await Promise.all(models.map((model) => run({ model })));
    const together = await run({ models });
    expect(together.models.map(({ weights }) => weights)).toEqual(models);
    expect(together.network).toBe("relu-or-tanh + small + cifar10-13pct");
    const mean = alone.reduce((sum, { total }) => sum + total.loss / 3, 0);
    // By Jensen's inequality: the logarithm is concave.
    expect(together.total.loss).toBeLessThan(mean + 1e-9);
  });

  test("other classes, the same model twice, none, and both options are usage errors", async () => {
    const other = await untrained("other.safetensors", "small", 1, ["c0", "c2", "c1"]);
    const refused = async (options: Partial<EvaluateOptions>, message: RegExp) =>
      expect(await run(options).catch((error: Error) => error.message)).toMatch(message);
    await refused({ models: [models[0]!, other] }, /output 1 is "c1" in the first, "c2" in the second: average only/);
    await refused({ models: [models[0]!, models[0]!] }, /is named twice/);
    await refused({ models: ["a", ""] }, /models: needs the names of runs or files/);
    await refused({ models, model: models[0]! }, /can.t be combined/);
  });
});

describe("what is written", () => {
  test("consistent tables, and pictures", async () => {
    const result = await run({ model: models[1]!, out: at("out") });
    expect(result.files).toEqual(
      ["classes.csv", "confusion.csv", "predictions.csv", "mistakes.csv", "confusion.png", "mistakes.png"].map((name) =>
        at("out", name),
      ),
    );
    const predictions = rows(at("out", "predictions.csv"));
    expect(predictions.length).toBe(21);
    expect(predictions.map(([name]) => name)).toEqual(predictions.map(([name]) => name!).toSorted());
    const matrix = CLASSES.map((truth) =>
      CLASSES.map((said) => predictions.filter((row) => row[1] === truth && row[4] === said).length),
    );
    expect(rows(at("out", "confusion.csv"))).toEqual(matrix.map((row, k) => [CLASSES[k]!, ...row.map(String)]));
    expect(result.confusion.reduce((sum, [, , images]) => sum + images, 0)).toBe(21);
    for (const [label, predicted, images] of result.confusion) expect(matrix[label]![predicted]).toBe(images);
    for (const [k, [name, images, predicted, right, recall, precision]] of rows(at("out", "classes.csv")).entries()) {
      const column = matrix.reduce((sum, row) => sum + row[k]!, 0);
      expect([name, images, predicted, right]).toEqual([CLASSES[k]!, "7", String(column), String(matrix[k]![k]!)]);
      expect(Number(recall)).toBeCloseTo(matrix[k]![k]! / 7, 6);
      expect(precision === "" ? undefined : Number(precision)).toBe(
        column === 0 ? undefined : Number((matrix[k]![k]! / column).toPrecision(7)),
      );
    }
    const wrong = predictions.filter(([, truth, , , said]) => truth !== said);
    const byLoss = wrong.toSorted((a, b) => Number(b[3]) - Number(a[3]));
    expect(wrong.length).toBe(result.total.wrong1);
    expect(rows(at("out", "mistakes.csv")).map(([name]) => name)).toEqual(byLoss.map(([name]) => name));
    for (const name of ["confusion.png", "mistakes.png"]) {
      const { width, height } = await new Transformer(readFileSync(at("out", name))).metadata();
      expect(Math.min(width, height)).toBeGreaterThan(300);
    }
  });

  test("data with some of the model's classes", async () => {
    await makePhotos(at("two"), 3, 4);
    const two = await run({ model: models[0]!, data: at("two") });
    const part = at("part");
    await writeFiles(part, {
      "c2/0.png": readFileSync(at("two", "c2", "000.png")),
      "c1/0.png": readFileSync(at("two", "c1", "000.png")),
    });
    const result = await run({ model: models[0]!, data: part });
    expect(result.classes.map(({ name, scores }) => [name, scores.images])).toEqual([["c0", 0], ["c1", 1], ["c2", 1]]); // prettier-ignore
    expect(result.total.loss).toBeGreaterThan(0);
    expect(two.total.images).toBe(12);
  });
});

describe("submissions", () => {
  test("lines are sorted by file name, classes by probability and numbered from 1; zeros for unusable images", async () => {
    await writeFiles(at("named"), {
      "c0/z.png": readFileSync(at("photos", "c0", "000.png")),
      "c1/m.png": "no image",
      "c2/a.png": readFileSync(at("photos", "c2", "000.png")),
    });
    const file = at("deep", "submission.txt");
    const options = { model: models[0]!, data: at("named"), submission: file };
    const result = await run({ ...options, out: at("named-out") });
    expect(result.submission).toEqual({ file, numbers: "outputs", empty: 1 });
    const lines = readFileSync(file, "utf8").split("\n");
    const predictions = rows(at("named-out", "predictions.csv"));
    const numbersOf = (end: string) => {
      const row = predictions.find(([name]) => name!.endsWith(end))!;
      return [row[4], row[6], row[8]].map((name) => CLASSES.indexOf(name!) + 1).join(" ");
    };
    expect(lines).toEqual([numbersOf("a.png"), "0 0 0", numbersOf("z.png"), ""]);
  });

  test("with ImageNet's devkit: its numbers, in the order of the validation images", async () => {
    await writeFiles(at("ilsvrc"), await ilsvrc(await photos(4)));
    const { train, val } = await openDataset(at("ilsvrc"));
    const numbers = [0, 1, 2, 3].map((k) => challengeNumber(k, 4));
    expect(val.challengeIds).toEqual(numbers);
    expect(train.challengeIds).toEqual(numbers);
    const answers = new Answers(val.classes.length, val.length);
    for (let i = 0; i < val.length; i++) {
      const p = new Float64Array(val.classes.length);
      p[val.label(i)] = 1;
      answers.add(i, val.label(i), p);
    }
    const same = Uint32Array.from(val.classes, (_, k) => k);
    const result = await writeSubmission(at("ilsvrc.txt"), val, answers, same, val.classes.length);
    expect(result.numbers).toBe("devkit");
    const lines = readFileSync(at("ilsvrc.txt"), "utf8").trimEnd().split("\n");
    // The images are in the opposite order of the synsets; every answer is right.
    expect(lines.map((line) => Number(line.split(" ")[0]))).toEqual(numbers.toReversed());
    await val.close();
    await train.close();
  });
});

describe("the command", () => {
  const command = (...args: string[]) =>
    cli(["evaluate", "photos", "--device", "cpu", "--threads", "1", ...args], { cwd: folder.path });

  test("for programs: intervals, precision, confusion, files", async () => {
    const { code, stdout, stderr } = await command(...["--models", "a.safetensors,b.safetensors", "--json", "--out", "json"]); // prettier-ignore
    expect([code, stderr]).toEqual([0, ""]);
    const [result] = jsonLines(stdout);
    expect(result!.models.map(({ network }: any) => network)).toEqual(["relu-or-tanh", "small"]);
    expect(result!.interval1[0]).toBeLessThan(result!.top1);
    expect(result!.interval1[1]).toBeGreaterThan(result!.top1);
    expect(result!.interval5).toEqual([0, expect.any(Number)]);
    expect(result!.files.length).toBe(6);
    for (const { recall, top1 } of result!.classes) expect(recall).toBeCloseTo(1 - top1, 12);
  });

  test("for people: the interval, and the files", async () => {
    const { stdout } = await command("--model", "a.safetensors", "--out", "people", "--submission", "people.txt");
    expect(stdout).toMatch(/\naccuracy \d+\.\d% \(95% interval: \d+\.\d% to \d+\.\d%\)\nloss \d/);
    expect(stdout).toContain("\npeople.txt: a line per image, sorted by file name; classes numbered from 1");
    expect(stdout).toEndWith("\npeople/confusion.png\npeople/mistakes.png\n");
  });

  test("names with control codes and markup are shown as text", async () => {
    const odd = "\u001b[31mred\u202e <b>";
    await untrained("odd.safetensors", "small", 1, [odd, "plain"]);
    await writeFiles(at("odd-photos"), {
      [`${odd}/0.png`]: readFileSync(at("photos", "c0", "000.png")),
      "plain/0.png": readFileSync(at("photos", "c1", "000.png")),
    });
    const args = ["evaluate", "odd-photos", "--model", "odd.safetensors", "--device", "cpu", "--out", "odd-out"];
    const { code, stdout, stderr } = await cli(args, { cwd: folder.path });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).not.toMatch(/[\u001b\u202e]/);
    expect(stdout).toContain("[31mred <b>");
    expect(existsSync(at("odd-out", "confusion.png"))).toBe(true);
  });

  const wrong: Readonly<Record<string, RegExp>> = {
    "--models ,": /models: needs the names of runs or files/,
    "--models a.safetensors,a.safetensors": /"a\.safetensors" is named twice/,
    "--models a.safetensors --model b.safetensors": /can.t be combined/,
    "--model a.safetensors --submission photos": /--submission photos: it is a folder/,
    "--sumbission a": /unknown option --sumbission; did you mean "--submission"/,
  };
  for (const [options, message] of Object.entries(wrong)) {
    test(`${options}: exit code 2`, async () => {
      const { code, stdout, stderr } = await command(...options.split(" "));
      expect(stderr).toMatch(message);
      expect(stderr.split("\n").length).toBe(2);
      expect([code, stdout]).toEqual([2, ""]);
    });
  }

  test("a folder that can't be created: exit code 1, before anything is computed", async () => {
    writeFileSync(at("file"), "");
    const { code, stdout, stderr } = await command("--model", "a.safetensors", "--out", "file/x");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: can't make the folder file.x: part of the path is a file\n$/);
  });
});
