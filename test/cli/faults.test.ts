/**
 * Wrong input of every kind: one line on standard error that says what is wrong, no stack trace, exit code 1 (failed)
 * or 2 (wrong usage), and existing files unchanged.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors, writeSafetensors } from "../../src/weights/safetensors.ts";
import { cli, jsonLines, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";
import type { Ended } from "../support/processes.ts";
import { tar } from "../support/tar.ts";

// Processes are slow on a busy machine.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const run = (args: readonly string[], env: Record<string, string> = {}) => cli(args, { cwd: folder.path, env });
const train = (...args: string[]) => run(["train", ...args, ...TINY, "--epochs", "1"]);

/** All files below a folder, with their contents. */
function contents(path: string): Map<string, string> {
  const files = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((file) =>
    statSync(join(path, file)).isFile(),
  );
  return new Map(files.sort().map((file) => [file, Bun.hash(readFileSync(join(path, file))).toString(16)]));
}

let before: Map<string, string>;

/** Expects a one-line error with this text, after `notes` warnings, and this exit code. */
function expectFault({ code, stderr }: Ended, expected: 1 | 2, message: RegExp, notes = 0): void {
  const lines = stderr.split("\n").filter((line) => line !== "");
  expect(lines.length, stderr).toBe(1 + notes);
  expect(lines.at(-1)).toStartWith("error: ");
  expect(lines.at(-1)).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at |bug in this program|\x1b/);
  expect(code).toBe(expected);
  expect(contents(at("runs"))).toEqual(before);
}

beforeAll(async () => {
  await makePhotos(at("photos"), 2, 20);
  const { code, stderr } = await run(["train", "photos", ...TINY, "--epochs", "1"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  before = contents(at("runs"));
  const files = [
    ...["best.safetensors", "config.json", "confusion.json", "images.jsonl.gz", "last.safetensors", "lock"],
    ...["log.jsonl", "report.html", "start.json"],
  ];
  expect([...before.keys()]).toEqual(files.map((file) => `relu-or-tanh-1/${file}`));
});

describe("data", () => {
  test("a path that does not exist", async () =>
    expectFault(await train("nowhere"), 1, /nowhere does not exist: expected a folder/));

  test("a URL", async () => {
    const message = /https:\/\/example\.org\/photos: URLs are not fetched: download it first, and name the file/;
    const url = "https://example.org/photos";
    expectFault(await train(url), 1, message);
    expectFault(await train("photos", "--val", url), 1, message);
    for (const args of [
      ["evaluate", url],
      ["features", url],
      ["look", url],
      ["pack", url, "packed"],
    ]) {
      expectFault(await run(args), 1, message);
    }
    expectFault(await run(["import", url]), 2, message);
  });

  test("an empty folder", async () => {
    mkdirSync(at("empty"));
    expectFault(await train("empty"), 1, /empty is empty: expected a folder/);
  });

  test("a single class", async () => {
    cpSync(at("photos", "c0"), at("single", "c0"), { recursive: true });
    expectFault(await train("single"), 1, /has a single class \(c0\)/);
  });

  test("a folder of images without class folders", async () => {
    expectFault(await train(join("photos", "c0")), 1, /has 20 files, but no class folder with .* images/);
  });

  test("a text file", async () => {
    writeFileSync(at("text.tar"), "This is not an archive. ".repeat(100));
    expectFault(await train("text.tar"), 1, /no tar header at byte 0: it is not a tar archive/);
  });

  test("a truncated tar", async () => {
    const members = [0, 1].flatMap((label) =>
      Array.from({ length: 10 }, (_, i) => ({ path: `c${label}/${i}.png`, contents: figurePng(label, i) })),
    );
    const whole = tar(...members);
    writeFileSync(at("cut.tar"), whole.subarray(0, whole.length / 2));
    expectFault(await train("cut.tar"), 1, /cut\.tar.* truncated/);
    const packed = Bun.gzipSync(whole as Uint8Array<ArrayBuffer>);
    writeFileSync(at("cut.tar.gz"), packed.subarray(0, packed.length / 2));
    expectFault(await train("cut.tar.gz"), 1, /cut\.tar\.gz/);
    writeFileSync(at("photos.zip"), "PK\x03\x04".padEnd(600, "x"));
    expectFault(await train("photos.zip"), 1, /photos\.zip is a zip archive/);
  });

  test("a validation folder with other classes", async () => {
    await makePhotos(at("three"), 3, 2);
    expectFault(await train("photos", "--val", "three"), 1, /lacks "c2"/);
  });

  test("a truncated image among good ones is named and left out", async () => {
    cpSync(at("photos"), at("spoiled"), { recursive: true });
    const png = readFileSync(at("photos", "c0", "000.png"));
    for (const label of ["c0", "c1"]) {
      for (const i of ["000", "001"])
        writeFileSync(at("spoiled", label, `${i}.png`), png.subarray(0, png.length - 300));
    }
    const { code, stderr, stdout } = await train("spoiled", "--out", "spoiled-run");
    const lines = stderr.trimEnd().split("\n").sort();
    expect(lines.length).toBe(4);
    for (const [i, name] of ["c0/000", "c0/001", "c1/000", "c1/001"].entries()) {
      expect(lines[i]).toMatch(new RegExp(`^warning: skipped .*spoiled/${name}\\.png: `));
    }
    expect(stdout).toContain("Done: ");
    expect(code).toBe(0);
  });

  test("too many truncated images are an error", async () => {
    cpSync(at("photos"), at("ruined"), { recursive: true });
    for (const file of readdirSync(at("ruined", "c0"))) writeFileSync(at("ruined", "c0", file), "no image");
    expectFault(await train("ruined", "--out", "ruined-run"), 1, /of the 36 images of .*ruined can't be used, first /);
    expect(existsSync(at("ruined-run", "last.safetensors"))).toBe(false);
  });
});

describe("options", () => {
  const cases: [args: string[], message: RegExp][] = [
    [["--batch", "0"], /--batch 0: must be a whole number above 0/],
    [["--batch", "1.5"], /--batch 1\.5: must be a whole number above 0/],
    [["--rate", "abc"], /--rate abc: must be a number/],
    [["--rate", "-1"], /--rate -1: must be a number above 0/],
    [["--rate"], /--rate needs a value/],
    [["--rate", "--json"], /--rate needs a value/],
    [["--epochs", "1.5"], /--epochs 1\.5: must be a whole number, at least 0/],
    [["--epochs", "0"], /--epochs 0: must be above 0, unless a new last layer is trained/],
    [["--schedule", "steps:x"], /--schedule steps:x: must be constant, cosine, triangular, plateau, or steps:/],
    [["--schedule", "linear"], /--schedule linear: must be/],
    [
      ["--augment", "foo"],
      /--augment foo: "foo" is unknown; use paper, modern, none, or parts: crop, pad, mirror, alternate, colour/,
    ],
    [["--momentum", "1"], /--momentum 1: must be at least 0 and below 1/],
    [["--decay", "-0.1"], /--decay -0\.1: must be at least 0/],
    [["--hold-out", "1"], /--hold-out 1: must be between 0 and 1/],
    [["--seed", "-3"], /--seed -3: must be a whole number, at least 0/],
    [["--seed", "0.5"], /--seed 0\.5: must be a whole number, at least 0/],
    [["--threads", "0"], /--threads 0: must be a whole number from 1 to 1024/],
    [["--blas", "maybe"], /--blas maybe: must be on or off/],
    [["--tune", "maybe"], /--tune maybe: must be on or off/],
    [["--model", "alexnt"], /no model is called "alexnt"; did you mean "alexnet"\?/],
    [["--epocs", "3"], /unknown option --epocs; did you mean "--epochs"\?; --help lists them/],
    [["-e", "3"], /unknown option -e; --help lists them/],
    [["more"], /unexpected argument "more"; see --help/],
    [["--resume", "nowhere"], /no run in nowhere: nowhere.config\.json does not exist/],
  ];
  for (const [args, message] of cases) {
    test(`train ${args.join(" ")}`, async () => expectFault(await run(["train", "photos", ...args]), 2, message));
  }

  test("evaluate and predict", async () => {
    expectFault(await run(["evaluate", "--views", "3"]), 2, /--views 3: must be 1, 2, 6 or 10/);
    expectFault(await run(["evaluate", "--batch", "0"]), 2, /--batch 0: must be a whole number above 0/);
    expectFault(await run(["predict", "x.png", "--views", "3"]), 2, /--views 3: must be 1, 2, 6 or 10/);
    expectFault(await run(["predict", "x.png", "--top", "0"]), 2, /--top 0: must be a whole number above 0/);
    expectFault(await run(["predict", "x.png", "--tip", "1"]), 2, /unknown option --tip; did you mean "--top"\?/);
    expectFault(await run(["predict"]), 2, /IMAGE/);
    expectFault(await run(["models", "alexnt"]), 2, /no model is called "alexnt"; did you mean "alexnet"\?/);
    expectFault(await run(["models", "--classes", "1"]), 2, /1 class; a classifier needs at least 2/);
  });

  test("commands", async () => {
    expectFault(await run(["trian"]), 2, /no command is called "trian"; did you mean "train"\?/);
    expectFault(await run(["toString"]), 2, /no command is called "toString"/);
    expectFault(await run([]), 2, /name a command: devices, doctor, draw, evaluate, export, /);
  });
});

describe("runs", () => {
  test("--resume without a run", async () => {
    mkdirSync(at("elsewhere"));
    const here = await cli(["train", "--resume"], { cwd: at("elsewhere") });
    expectFault(here, 2, /no run in .*elsewhere.runs has a config\.json yet/);
    mkdirSync(at("begun"));
    expectFault(await run(["train", "--resume", "begun"]), 2, /no run in begun: begun.config\.json does not exist/);
  });

  test("a run without a finished epoch can't be used yet", async () => {
    mkdirSync(at("young"));
    cpSync(at("runs", "relu-or-tanh-1", "config.json"), at("young", "config.json"));
    const message =
      /young has no best\.safetensors yet: its first epoch is not finished; continue it with --resume young/;
    expectFault(await run(["evaluate", "--model", "young"]), 2, message);
  });

  test("--resume with options that would change the steps done", async () => {
    expectFault(await run(["train", "--resume", "--batch", "8"]), 2, /--batch can't be changed when a run is resumed/);
    expectFault(
      await run(["train", "--resume", "--val", "photos"]),
      2,
      /--val photos: the run was begun without, and must be resumed without it/,
    );
    expectFault(await run(["train", "--resume", "--epochs", "0"]), 2, /--epochs 0: must be above 0 to continue/);
  });

  test("--out of an existing run", async () => {
    const out = join("runs", "relu-or-tanh-1");
    expectFault(await train("photos", "--out", out), 2, /already holds a run: resume it with --resume runs/);
  });

  test("--out where no folder can be created", async () => {
    writeFileSync(at("file"), "");
    expectFault(await train("photos", "--out", "file"), 1, /can't make the folder file: a file of that name exists/);
    expectFault(
      await train("photos", "--out", join("file", "x")),
      1,
      /can't make the folder file.x: part of the path is a file/,
    );
  });

  test("runs/ is a file", async () => {
    mkdirSync(at("blocked"));
    writeFileSync(at("blocked", "runs"), "");
    const ended = await cli(["train", at("photos"), ...TINY], { cwd: at("blocked") });
    expectFault(ended, 1, /can't make the folder runs/);
  });

  test("folders in place of a run's files", async () => {
    mkdirSync(at("odd", "log.jsonl"), { recursive: true });
    expectFault(await train("photos", "--out", "odd"), 1, /odd.log\.jsonl: it is a folder/);
    mkdirSync(at("odder", "best.safetensors", "x"), { recursive: true });
    cpSync(at("runs", "relu-or-tanh-1", "config.json"), at("odder", "config.json"));
    expectFault(await run(["train", "--resume", "odder"]), 1, /can't write .*odder.best\.safetensors: /);
    expect(readdirSync(at("odder")).sort()).toEqual([
      ...["best.safetensors", "config.json", "images.jsonl.gz", "lock", "start.json"],
    ]);
  });

  test("a loss that becomes NaN or infinite", async () => {
    const ended = await run(["train", "photos", ...TINY, "--rate", "1e9", "--out", "diverged"]);
    expectFault(
      ended,
      1,
      /the loss became (NaN|infinite) in epoch 1, step \d+, at a learning rate of 1000000000: train with a lower --rate/,
    );
  });
});

describe("weights", () => {
  const good = () => at("runs", "relu-or-tanh-1", "best.safetensors");
  const both = async (model: string, message: RegExp, code: 1 | 2 = 1) => {
    expectFault(await run(["evaluate", "photos", "--model", model]), code, message);
    expectFault(await run(["predict", join("photos", "c0"), "--model", model]), code, message);
  };

  test("missing", async () => {
    await both("none.safetensors", /none\.safetensors: can't be opened: no such file or folder/);
    await both("none", /no run in none: none.best\.safetensors does not exist/, 2);
  });

  test("truncated", async () => {
    writeFileSync(at("cut.safetensors"), readFileSync(good()).subarray(0, 100_000));
    await both("cut.safetensors", /cut\.safetensors: cut short: /);
  });

  test("something else", async () => {
    cpSync(at("photos", "c0", "000.png"), at("image.safetensors"));
    await both(
      "image.safetensors",
      /image\.safetensors: not a safetensors file, or cut short: its header should have /,
    );
  });

  test("of another program", async () => {
    const read = async () => new Float32Array(4);
    await writeSafetensors(at("foreign.safetensors"), [{ name: "w", shape: [4], read }], { format: "pt" });
    await both("foreign.safetensors", /not a checkpoint of this program \(format pt\)/);
  });

  test("of an unknown network", async () => {
    const file = openSafetensors(good());
    const tensors = [...file.tensors].map(([name, { shape, read }]) => ({ name, shape, read: async () => read() }));
    const { definition: _, ...named } = file.metadata;
    await writeSafetensors(at("newer.safetensors"), tensors, { ...named, network: "alexnet-3000" });
    await writeSafetensors(at("other.safetensors"), tensors, { ...named, network: "small" });
    await writeSafetensors(at("torn.safetensors"), tensors, { ...file.metadata, network: "small" });
    file.close();
    await both("newer.safetensors", /newer\.safetensors: no model is called "alexnet-3000"/);
    await both("other.safetensors", /other\.safetensors: conv1\.|other\.safetensors: fc4\./);
    await both("torn.safetensors", /its network: the weights are of "small", the network is relu-or-tanh/);
  });

  test("for other classes than the data's", async () => {
    await makePhotos(at("four"), 4, 2);
    const message = /four has 4 classes, .* 2, without "c2"/;
    expectFault(await run(["evaluate", "four"]), 1, message);
  });

  test("a file that does not name its data", async () => {
    cpSync(good(), at("alone.safetensors"));
    const message = /alone\.safetensors does not say what it was trained on: name the data to evaluate it on/;
    expectFault(await run(["evaluate", "--model", "alone.safetensors"]), 2, message);
  });
});

describe("images to predict", () => {
  const predict = (...args: string[]) => run(["predict", ...args, "--device", "cpu", "--threads", "1"]);

  test("no image, no file, a folder without images", async () => {
    writeFileSync(at("note.png"), "no image");
    expectFault(await predict("note.png"), 1, /note\.png: (?!.*note\.png)./);
    expectFault(await predict("gone.png"), 1, /gone\.png: can't be read: no such file or folder$/);
    expectFault(await predict("empty"), 1, /the folder has no JPEG, PNG or WebP image/);
  });
});

describe("devices", () => {
  const device = (name: string, env: Record<string, string> = {}) => run(["train", "photos", "--device", name], env);

  test("no library", async () => {
    const env = { WGPU_LIB_PATH: at("no-such-library.so") };
    expectFault(await device("gpu", env), 1, /WGPU_LIB_PATH is .*no-such-library\.so, which does not exist/);
    // Without it, "auto" is the cpu.
    const { code, stdout, stderr } = await run(
      ["train", "photos", "--epochs", "1", "--model", "relu-or-tanh", "--out", "auto"],
      env,
    );
    expect(stderr).toBe("");
    expect(stdout).toMatch(/on \d+ threads?, /);
    expect(code).toBe(0);
  });

  test("not a library", async () => {
    writeFileSync(at("fake.so"), "not a library");
    expectFault(
      await device("gpu", { WGPU_LIB_PATH: at("fake.so") }),
      1,
      /wgpu-native can't be loaded from .*fake\.so/,
    );
    expectFault(
      await device("cpu", { BLAS_LIB_PATH: at("fake.so") }),
      1,
      /BLAS_LIB_PATH is .*fake\.so, which can't be loaded/,
    );
  });

  test("a software GPU only if named", async () => {
    const lines = jsonLines((await run(["devices", "--json"])).stdout);
    const gpus = lines.filter(({ device }) => device !== "cpu");
    if (gpus.some(({ kind }) => kind !== "software")) return;
    expectFault(await device("gpu"), 1, /no GPU.*found/);
    expect(lines.at(-1)).toMatchObject({ device: "cpu", default: true });
  });

  test("cpu options for a GPU", async () => {
    const message = /--blas and --threads are for the cpu, but the device is "gpu": add --device cpu/;
    expectFault(await run(["train", "photos", "--device", "gpu", "--threads", "2"]), 2, message);
  });

  test("a GPU option for the cpu", async () => {
    const message = /--tune is for GPUs, but the device is the cpu: leave it out/;
    expectFault(await run(["train", "photos", "--device", "cpu", "--tune", "on"]), 2, message);
  });

  test("an unknown GPU name", async () => {
    const { code, stderr } = await device("voodoo");
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(code).toBe(1);
  });

  test("a batch that does not fit: the error says which one does", async () => {
    const png = figurePng(0, 0);
    for (let i = 0; i < 900; i++) {
      mkdirSync(at("many", `c${i % 2}`), { recursive: true });
      writeFileSync(at("many", `c${i % 2}`, `${i}.png`), png);
    }
    const ended = await run(["train", "many", "--model", "alexnet", "--batch", "4000", "--device", "cpu"]);
    const message =
      /alexnet with a batch of 810 needs [\d,]+ MB, and the device .* has [\d,]+ MB: use --batch \d+ or less/;
    expectFault(ended, 1, message);
  });
});
