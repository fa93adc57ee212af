/** The commands as people and programs use them: output and exit codes. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import packageJson from "../../package.json";
import { cli, jsonLines, startCli, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";

// Processes are slow on a busy machine.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const CPU = ["--device", "cpu", "--threads", "1"];
const FOLDERS = new URL("../../src/verbs/", import.meta.url);
const VERBS = [...new Bun.Glob("*/command.ts").scanSync(fileURLToPath(FOLDERS))].map((path) => dirname(path)).sort();

/** Runs a command that must succeed with nothing on standard error. */
async function output(args: readonly string[], env: Record<string, string> = {}, stdin?: Uint8Array): Promise<string> {
  const { code, stdout, stderr } = await cli(args, { cwd: folder.path, env, ...(stdin && { stdin }) });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout;
}

let trained: string;

beforeAll(async () => {
  await makePhotos(at("photos"), 3, 20);
  trained = await output(["train", "photos", ...TINY, "--epochs", "2"]);
});

test("every verb has a script in package.json that runs the setup, then the command", () => {
  expect(VERBS).toContain("train");
  const own = Object.entries(packageJson.scripts).filter(([, script]) => script.includes("src/main.ts"));
  const wanted = VERBS.map((verb) => [verb, `bun src/setup.ts && bun src/main.ts ${verb}`]);
  expect(Object.fromEntries(own)).toEqual(Object.fromEntries(wanted));
});

describe("train", () => {
  test("for people: network, data, a line per epoch, what to run next; no colours in a pipe", () => {
    const lines = trained.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^relu-or-tanh, [\d,]+ parameters, on 1 thread, /);
    expect(lines[1]).toMatch(/photos: 54 images to train on, 6 to validate with, 3 classes$/);
    expect(lines[2]).toMatch(/^2 epochs, batches of 16, .*; run folder runs\/relu-or-tanh-1$/);
    expect(lines[3]).toBe("epoch  train loss  accuracy  val loss  accuracy  images/s     time");
    expect(lines[4]).toMatch(/^    1 +\d+\.\d{3} +\d+\.\d% +\d+\.\d{3} +\d+\.\d% +[\d,.]+ +\d+ s  best/);
    expect(lines[5]).toMatch(/^    2  /);
    expect(lines[6]).toMatch(
      /^Done: \d+\.\d% of the \d+ validation images are classified correctly \(95% interval: \d+\.\d% to \d+\.\d%\)\.$/,
    );
    expect(lines.slice(7)).toEqual([
      "6 images prove little: --folds 5 validates with each of the 60.",
      "Try it on an image:  bun run predict IMAGE",
    ]);
    expect(trained).not.toContain("\x1b");
  });

  test("for programs: events as JSON lines, in order", async () => {
    const events = jsonLines(await output(["train", "photos", ...TINY, "--epochs", "1", "--json", "--out", "json"]));
    expect(events.map(({ type }) => type)).toEqual([
      ...[
        "start",
        "measure",
        "compare",
        "compare",
        "step",
        "step",
        "step",
        "step",
        "validate",
        "saved",
        "saved",
        "epoch",
        "end",
      ],
    ]);
    expect(events[0]).toMatchObject({ network: "relu-or-tanh", train: 54, val: 6, classes: 3, batch: 16, epochs: 1 });
    expect(events[7]).toMatchObject({ epoch: 1, epochs: 1, batch: 4, batches: 4, secondsLeft: 0 });
    expect(events.at(-1)).toMatchObject({ interrupted: false, run: at("json"), val: events.at(-2)!.val });
    // The epoch's event equals its log entry.
    const { type: _, isBest: __, ...epoch } = events.at(-2)!;
    expect(jsonLines(readFileSync(at("json", "log.jsonl"), "utf8"))).toEqual([epoch]);
  });

  test("the next run gets the next number, and --resume alone takes the newest", async () => {
    await output(["train", "photos", ...TINY, "--epochs", "1"]);
    expect(existsSync(at("runs", "relu-or-tanh-2", "best.safetensors"))).toBe(true);
    const resumed = await output(["train", "--epochs", "2", "--resume"]);
    expect(resumed).toMatch(/run folder runs\/relu-or-tanh-2\ncontinuing with epoch 2, batch 1\nepoch .*\n {4}2  /);
    expect(await output(["train", "--resume", "relu-or-tanh-2"])).toContain("Nothing left to do.");
  });

  test("without data: the built-in set is learned in an epoch, and sample images are written", async () => {
    const args = ["train", "--epochs", "1", "--device", "cpu", "--json", "--out", "built-in"];
    const events = jsonLines(await output(args));
    expect(events[0]).toMatchObject({ network: "small", data: "shapes", classes: 10 });
    const { val, samples } = events.at(-1)!;
    // The error is 0.9 by chance, and 0.6 for the best linear classifier.
    expect(val.top1).toBeLessThan(0.4);
    const predictions = jsonLines(
      await output(["predict", samples, "--model", "built-in", "--device", "cpu", "--json"]),
    );
    expect(predictions.length).toBe(10);
    expect(predictions.every(({ classes }) => classes.length === 5)).toBe(true);
  });

  test("other files are counted", async () => {
    await makePhotos(at("mixed"), 2, 10);
    writeFileSync(at("mixed", "c0", "notes.txt"), "notes");
    const args = ["train", "mixed", ...TINY, "--epochs", "1", "--out", "mixed-run"];
    const { code, stdout, stderr } = await cli(args, { cwd: folder.path });
    expect([code, stderr.replaceAll("\\", "/")]).toEqual([
      0,
      "ignored: 1 file that is not an image (mixed/c0/notes.txt)\n",
    ]);
    expect(stdout).toContain("18 images to train on, 2 to validate with, 2 classes\n");
  });
});

describe("evaluate", () => {
  const run = ["--model", "relu-or-tanh-1"];

  test("for people, class by class", async () => {
    const text = await output(["evaluate", ...run, ...CPU]);
    expect(text).toMatch(/^relu-or-tanh \(.*best\.safetensors\) on .*photos \(held out\)\n6 images, centre crops, /);
    // Of three classes there are no five.
    expect(text).toMatch(/\naccuracy \d+\.\d% \(95% interval: .*\)\nloss \d+\.\d{4}\nby class:\n/);
    for (const label of ["c0", "c1", "c2"]) {
      expect(text).toMatch(new RegExp(`\\n${label} .* +\\d+\\.\\d%  of 2 +(\\d+\\.\\d%|never)\\n`));
    }
    expect(text).not.toContain("\x1b");
  });

  test("for programs: the same as the training measured", async () => {
    const [result] = jsonLines(await output(["evaluate", ...run, ...CPU, "--json"]));
    const [first, second] = jsonLines(readFileSync(at("runs", "relu-or-tanh-1", "log.jsonl"), "utf8"));
    const best = second!.val.top1 < first!.val.top1 ? second! : first!;
    expect(result).toMatchObject({ network: "relu-or-tanh", images: 6, views: 1, bad: [] });
    expect({ loss: result!.loss, top1: result!.top1, top5: result!.top5 }).toEqual(best.val);
    expect(result!.classes.map(({ name, images }: any) => [name, images])).toEqual([
      ["c0", 2],
      ["c1", 2],
      ["c2", 2],
    ]);
    const mean = result!.classes.reduce((sum: number, { loss }: any) => sum + loss / 3, 0);
    expect(mean).toBeCloseTo(result!.loss, 6);
  });

  test("on other images, with two and ten views, in other batches", async () => {
    const evaluate = async (...more: string[]) =>
      jsonLines(await output(["evaluate", "photos", ...run, ...CPU, "--json", ...more]))[0]!;
    const [one, small, ten] = [await evaluate(), await evaluate("--batch", "7"), await evaluate("--views", "10")];
    const two = await evaluate("--views", "2");
    expect(one.images).toBe(60);
    expect(small.loss).toBeCloseTo(one.loss, 5);
    expect(ten.views).toBe(10);
    expect(ten.loss).not.toBe(one.loss);
    // The images are as large as the crop: corners and centre coincide.
    expect(two.views).toBe(2);
    expect(two.loss).toBeCloseTo(ten.loss, 5);
  });

  test("bad images are named and left out", async () => {
    await makePhotos(at("holes"), 3, 5);
    writeFileSync(at("holes", "c1", "003.png"), "no image");
    const { code, stdout, stderr } = await cli(["evaluate", "holes", ...run, ...CPU], { cwd: folder.path });
    expect(stderr).toMatch(/^warning: skipped .*holes\/c1\/003\.png: .*\n$/);
    expect(stdout).toContain("\n14 images, ");
    expect(code).toBe(0);
  });
});

describe("predict", () => {
  const run = ["--model", "relu-or-tanh-1", ...CPU];
  const images = [0, 1, 2].map((label) => join("photos", `c${label}`, "000.png"));

  test("several images, for people: the most probable class first", async () => {
    const text = await output(["predict", ...images, ...run, "--top", "2"]);
    const blocks = text.split(/^(?=photos)/m);
    expect(blocks.length).toBe(3);
    for (const [i, block] of blocks.entries()) {
      const [name, first, second] = block.split("\n");
      expect(name).toBe(images[i]!);
      const share = (line: string) => Number(/(\d+\.\d)%$/.exec(line)![1]);
      expect(share(first!)).toBeGreaterThanOrEqual(share(second!));
    }
    expect(text).toMatch(/\nby relu-or-tanh, .*best\.safetensors\n$/);
    expect(text).not.toContain("\x1b");
  });

  test("for programs: probabilities of all classes, which add up to 1", async () => {
    const lines = jsonLines(await output(["predict", ...images, ...run, "--json"]));
    expect(lines.map(({ image }) => image)).toEqual(images);
    for (const { classes } of lines) {
      expect(classes.map(({ name }: any) => name).sort()).toEqual(["c0", "c1", "c2"]);
      expect(classes.reduce((sum: number, { probability }: any) => sum + probability, 0)).toBeCloseTo(1, 6);
    }
    expect(jsonLines(await output(["predict", images[0]!, ...run, "--json", "--top", "1"]))[0]!.classes.length).toBe(1);
  });

  test("a folder, in one batch or several, gives nearly the same as single images", async () => {
    const all = jsonLines(await output(["predict", join("photos", "c0"), join("photos", "c1"), ...run, "--json"]));
    expect(all.map(({ image }) => image)).toEqual(
      Array.from({ length: 40 }, (_, i) =>
        join("photos", `c${i < 20 ? 0 : 1}`, `${String(i % 20).padStart(3, "0")}.png`),
      ),
    );
    const [one] = jsonLines(await output(["predict", all[35]!.image, ...run, "--json"]));
    expect(one!.classes[0].name).toBe(all[35]!.classes[0].name);
    expect(one!.classes[0].probability).toBeCloseTo(all[35]!.classes[0].probability, 4);
  });

  test("an image on standard input", async () => {
    const [piped] = jsonLines(await output(["predict", "-", ...run, "--json"], {}, readFileSync(at(images[1]!))));
    const [named] = jsonLines(await output(["predict", images[1]!, ...run, "--json"]));
    expect(piped).toEqual({ ...named!, image: "-" });
  });

  test("ten views: other probabilities, which also add up to 1", async () => {
    const shares = async (views: string) =>
      jsonLines(await output(["predict", images[0]!, ...run, "--json", "--views", views]))[0]!.classes.map(
        ({ probability }: any) => probability,
      );
    const [one, ten] = [await shares("1"), await shares("10")];
    expect(ten).not.toEqual(one);
    expect(ten.reduce((sum: number, share: number) => sum + share, 0)).toBeCloseTo(1, 6);
  });

  test("bad images among good ones: the rest are classified, and the exit code is 1", async () => {
    writeFileSync(at("bad.jpg"), "no image");
    const args = ["predict", images[0]!, "bad.jpg", "gone.png", "-", images[2]!, ...run];
    const people = await cli(args, { cwd: folder.path });
    expect(people.code).toBe(1);
    const errors = people.stderr.trimEnd().split("\n");
    expect(errors.length).toBe(3);
    for (const [i, name] of ["bad\\.jpg", "gone\\.png", "-"].entries())
      expect(errors[i]).toMatch(new RegExp(`^error: ${name}: .`));
    expect(people.stdout).toContain(images[0]!);
    expect(people.stdout).toContain(images[2]!);
    const programs = await cli([...args, "--json"], { cwd: folder.path });
    expect(programs.code).toBe(1);
    expect(programs.stderr).toBe("");
    expect(jsonLines(programs.stdout).map((line) => "error" in line)).toEqual([false, true, true, true, false]);
  });

  test("a folder without images, and a URL, among good ones", async () => {
    mkdirSync(at("hollow"));
    const args = ["predict", "hollow", images[0]!, "https://example.org/a.jpg", ...run];
    const { code, stdout, stderr } = await cli(args, { cwd: folder.path });
    expect(stderr.split("\n")).toEqual([
      "error: hollow: the folder has no JPEG, PNG or WebP image",
      "error: https://example.org/a.jpg: URLs are not fetched: download it first, and name the file",
      "",
    ]);
    expect(stdout).toStartWith(images[0]!);
    expect(code).toBe(1);
    const programs = await cli([...args, "--json"], { cwd: folder.path });
    expect(programs.stderr).toBe("");
    expect(programs.code).toBe(1);
    const lines = jsonLines(programs.stdout);
    expect(lines.map(({ image }) => image).sort()).toEqual([images[0]!, "hollow", "https://example.org/a.jpg"].sort());
    expect(lines.filter((line) => "error" in line).length).toBe(2);
  });

  test("without a run or a network connection: the network in the box, and why", async () => {
    mkdirSync(at("fresh"));
    const env = { ALEXNET_CACHE: at("fresh/cache"), ALEXNET_OFFLINE: "1" };
    const { code, stderr } = await cli(["predict", join("..", images[0]!), ...CPU], { cwd: at("fresh"), env });
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^warning: can't fetch EfficientNet-Lite0, trained on ImageNet: .*ALEXNET_OFFLINE is set.*\nthere is no trained run in runs\/, so this is the network in the box: it knows airplane, .*, truck\. Name another with --model, or train one on your photos:  /m,
    );
  });

  test("a slow reader gets more output than a pipe holds; a reader that goes away is no error", async () => {
    mkdirSync(at("many"));
    const png = figurePng(0, 0);
    for (let i = 0; i < 700; i++) writeFileSync(at("many", `${"long-name-".repeat(8)}${i}.png`), png);
    const child = startCli(["predict", "many", ...run, "--json"], { cwd: folder.path });
    await Bun.sleep(1500);
    const text = await new Response(child.stdout).text();
    expect(text.length).toBeGreaterThan(2 * 65_536);
    expect(jsonLines(text).length).toBe(700);
    expect(await child.exited).toBe(0);

    const left = startCli(["predict", "many", ...run, "--json"], { cwd: folder.path });
    const reader = left.stdout.getReader();
    await reader.read();
    await reader.cancel();
    await left.exited;
    expect(await new Response(left.stderr).text()).not.toMatch(/bug in this program|\n\s+at /);
  });
});

describe("models", () => {
  test("all of them", async () => {
    const text = await output(["models"]);
    expect(text).toMatch(/^model +input +parameters +multiply-adds\n/);
    expect(text).toMatch(/\nalexnet +227×227 +60,965,224 +724\.4 M  the network as the paper states it\n/);
    expect(text).toMatch(/\nalexnet-owt +224×224 +61,100,840 /);
    expect(jsonLines(await output(["models", "--json"])).find(({ name }) => name === "alexnet")).toMatchObject({
      ...{ input: 227, classes: 1000, parameters: 60_965_224, multiplyAdds: 724_406_816 },
    });
  });

  test("one, layer by layer", async () => {
    const text = await output(["models", "alexnet"]);
    expect(text).toMatch(/\nconv1 +conv +96 of 11×11, stride 4 +96×55×55 +34,944 +105\.4 M\n/);
    expect(text).toMatch(/\n +total +60,965,224 +724\.4 M\n$/);
    const lines = jsonLines(await output(["models", "alexnet", "--json", "--classes", "10"]));
    expect(lines.find(({ name }) => name === "fc8")).toMatchObject({
      kind: "fc",
      output: [10, 1, 1],
      parameters: 40_970,
    });
    expect(lines.at(-1)).toMatchObject({ network: "alexnet", classes: 10, parameters: 60_965_224 - 990 * 4097 });
  });
});

describe("devices", () => {
  test("the cpu is always listed, and exactly one device is the default", async () => {
    expect(await output(["devices"])).toMatch(/(^|\n)cpu +\d+ threads?  /);
    const lines = jsonLines(await output(["devices", "--json"]));
    expect(lines.at(-1)).toMatchObject({ device: "cpu" });
    expect(lines.filter((line) => line.default).length).toBe(1);
  });

  test("without the GPU library: the reason", async () => {
    const text = await output(["devices"], { WGPU_LIB_PATH: at("nothing.so") });
    expect(text).toMatch(/^cpu .*default\ncan't look for GPUs: WGPU_LIB_PATH is .*nothing\.so, which does not exist/);
  });
});

describe("help", () => {
  for (const verb of VERBS) {
    test(verb, async () => {
      const text = await output([verb, "--help"], { NO_COLOR: "1" });
      expect(text).toContain(`bun run ${verb}`);
      for (const option of ["--json", "--quiet", "--debug"]) expect(text).toContain(option);
      expect(text).not.toContain("\x1b");
    });
  }

  test("-h, and no colours in a pipe", async () => {
    expect(await output(["models", "-h"])).toBe(await output(["models", "--help"], { NO_COLOR: "1" }));
  });

  test("of all", async () => {
    const lines = (await output(["--help"])).split("\n");
    expect(lines.flatMap((line) => /^ +(\w+) {4}\w/.exec(line)?.[1] ?? [])).toEqual(VERBS);
    expect(lines.join("\n")).not.toContain("\x1b");
  });

  test("the version", async () => {
    expect(await output(["--version"])).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

test("--debug shows where an error comes from", async () => {
  const { code, stderr } = await cli(["train", "nowhere", "--debug"], { cwd: folder.path });
  expect(stderr).toMatch(/DataError: .*nowhere does not exist/);
  expect(stderr).toMatch(/\n\s+at .*open\.ts/);
  expect(code).toBe(1);
});
