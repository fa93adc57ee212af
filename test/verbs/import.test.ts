/** Imported weights, from the file to the logits, which must be PyTorch's; with their preprocessing. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { centreView } from "../../src/data/augmentation.ts";
import { augment, VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { size } from "../../src/engine/tensor.ts";
import { CheckpointError, UsageError } from "../../src/errors.ts";
import { fromNpy, toNpy } from "../../src/io/npy.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { leaves, Model, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { uploadMean } from "../../src/net/passes.ts";
import { findWeights, openWeights } from "../../src/runs/weights.ts";
import { exportModel } from "../../src/verbs/export/export.ts";
import { importWeights, type ImportOptions } from "../../src/verbs/import/import.ts";
import { predict, type Prediction } from "../../src/verbs/predict/predict.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openSafetensors, writeSafetensors } from "../../src/weights/safetensors.ts";
import { cli, jsonLines } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { goldenPicture } from "../support/golden_pictures.ts";
import { figurePng } from "../support/images.ts";
import { readOnnx } from "../support/onnx.ts";
import { any } from "../support/refusals.ts";
import { blob, caffemodel, goldenFile, goldenValues, LOGITS, SHAPES, SMALL } from "../support/weight_files.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);

let made = 0;
/** Imports a file with these contents into a new folder. */
async function imported(bytes: Uint8Array, options: Partial<ImportOptions> = {}) {
  const number = made++;
  const file = at(`weights${number}`);
  writeFileSync(file, bytes);
  return importWeights({ file, out: at(`run${number}`), ...options });
}

/** The logits of the golden pictures, a row for each. */
async function logits(weights: string): Promise<number[][]> {
  const { checkpoint } = openWeights(weights);
  const backend = openReference();
  const model = new Model(small, backend, checkpoint.classes.length);
  checkpoint.loadInto(model);
  checkpoint.close();
  const images = LOGITS.length;
  const pixels = Buffer.concat(LOGITS.map((_, k) => goldenPicture(32, 32, k)));
  const tape = new Tape(backend, { record: false });
  const views = tape.input([images, VIEW_LENGTH], centreView(images, 32, 32));
  const x = augment(
    tape.input([images, 32, 32, 3], new Uint8Array(pixels)),
    views,
    uploadMean(backend, 32, checkpoint.mean),
    32,
  );
  const values = await model.forward(x).read();
  return LOGITS.map((_, n) => Array.from({ length: model.classes }, (_, k) => values[k * images + n]!));
}

function expectLogits(actual: readonly (readonly number[])[]): void {
  expect(actual.length).toBe(4);
  actual.forEach((row, n) => row.forEach((value, k) => expect(Math.abs(value - LOGITS[n]![k]!)).toBeLessThan(1e-4)));
}

const caffe = () => caffemodel(SMALL);
let torch: Awaited<ReturnType<typeof importWeights>>;
beforeAll(async () => void (torch = await imported(goldenFile("zip.pth"))));

describe("preprocessing", () => {
  test("torchvision's mean and deviation, folded into mean image and conv1: PyTorch's logits", async () => {
    expect(torch).toMatchObject({
      network: "small",
      parameters: 34_602,
      format: "PyTorch",
      classes: 10,
      names: "their numbers",
    });
    expect(torch.preprocessing).toBe(
      "pixels 0–255 minus 123.7, 116.3, 103.5; folded in: the first layer's weights divided by 58.4, 57.12, 57.38",
    );
    expectLogits(await logits(torch.weights));
  });

  test("the same stated for pixels up to 255, and with blue first", async () => {
    const said = { mean: "123.675,116.28,103.53", deviation: [58.395, 57.12, 57.375], pixels: 255 } as const;
    expectLogits(await logits((await imported(goldenFile("legacy.pth"), said)).weights));
    const [zip, turned] = [
      await imported(goldenFile("zip.pth")),
      await imported(goldenFile("zip.pth"), { order: "bgr" }),
    ];
    const [rgb, bgr] = [zip, turned].map(({ weights }) => openSafetensors(weights).tensors.get("conv1.weight")!.read());
    // The first filter, 5 × 5 for each of red, green and blue; each was divided by its own deviation.
    const deviations = [58.395, 57.12, 57.375];
    for (let i = 0; i < 75; i++) {
      const [channel, place] = [Math.floor(i / 25), i % 25];
      const from = 2 - channel;
      expect(bgr![i]! * deviations[channel]!).toBeCloseTo(rgb![25 * from + place]! * deviations[from]!, 5);
    }
  });

  test("Caffe's: blue first, 0 to 255, its mean colour", async () => {
    const { weights, preprocessing } = await imported(caffe());
    expect(preprocessing).toContain(
      "pixels 0–255 minus 104, 116.7, 122.7 (blue first); folded in: the first layer's input channels",
    );
    const { tensors } = openSafetensors(weights);
    const [own, original] = [tensors.get("conv1.weight")!.read(), goldenValues("conv1.weight")];
    // Outputs × channels × 5 × 5: the first channel is the file's last.
    own.forEach((value, i) => {
      const [output, channel, place] = [Math.floor(i / 75), Math.floor(i / 25) % 3, i % 25];
      expect(value).toBe(original[75 * output + 25 * (2 - channel) + place]!);
    });
    const mean = tensors.get("preprocessing.mean")!.read();
    expect([...mean.subarray(0, 3)].map((value) => value.toFixed(2))).toEqual(["122.68", "116.67", "104.01"]);
    expect(tensors.get("conv2.weight")!.read()).toEqual(goldenValues("conv2.weight"));
  });

  test("a mean image of Caffe's, or of NumPy's", async () => {
    const side = 32;
    const planes = Float32Array.from({ length: 3 * side * side }, (_, i) => i / 10);
    writeFileSync(at("mean.binaryproto"), Buffer.concat(blob([1, 3, side, side], planes)));
    const of = async (mean: string) =>
      openSafetensors((await imported(caffe(), { mean })).weights)
        .tensors.get("preprocessing.mean")!
        .read();
    const image = await of(at("mean.binaryproto"));
    // Row 2, column 5: blue is the file's first plane.
    const place = 2 * side + 5;
    expect([...image.subarray(3 * place, 3 * place + 3)]).toEqual([
      ...[2, 1, 0].map((c) => planes[c * side * side + place]!),
    ]);
    writeFileSync(at("mean.npy"), toNpy(planes, [3, side, side]));
    expect(await of(at("mean.npy"))).toEqual(image);
    writeFileSync(at("small.npy"), toNpy(planes.subarray(0, 300), [3, 10, 10]));
    await expect(of(at("small.npy"))).rejects.toThrow(/the mean has 300 numbers: must have 3, .* or 3072, 3×32×32/);
    await expect(of(at("nowhere.npy"))).rejects.toThrow(/neither a file nor three numbers/);
  });

  test.each([
    // Its pixels are less 127, and it divides them by 128 itself.
    ["efficientnet-lite0", [1, 1, 1], [127, 127, 127]],
    // It divides its input by 64 itself.
    ["cifar10-airbench", [62.985 / 64, 62.0925 / 64, 66.708 / 64], [125.307, 122.961, 113.8575]],
    // It divides its input by 58 itself.
    ["squeezenet1_1", [58.395 / 58, 57.12 / 58, 57.375 / 58], [123.675, 116.28, 103.53]],
  ])("%s: PyTorch's names, and its own pixels", async (name, divisors, mean) => {
    const stored = leaves(place(findNetwork(name))).flatMap(({ parameters, state }) => [...parameters, ...state]);
    const ones = stored.map(({ name, shape }) => ({
      name,
      shape,
      read: async () => new Float32Array(size(shape)).fill(1),
    }));
    await writeSafetensors(at(name), ones, {});
    const { network, weights } = await imported(readFileSync(at(name)));
    expect(network).toBe(name);
    const { tensors } = openSafetensors(weights);
    const first = tensors.get(stored[0]!.name)!.read() as Float32Array;
    const [, , height = 0, width = 0] = stored[0]!.shape;
    expect([0, 1, 2].map((colour) => first[colour * height * width]!)).toEqual(
      divisors.map((by) => Math.fround(1 / by)),
    );
    const pixel = (tensors.get("preprocessing.mean")!.read() as Float32Array).subarray(0, 3);
    expect([...pixel]).toEqual(mean.map(Math.fround));
  });

  test("a scale that isn't learnt may be stored, as PyTorch does, but only as 1", async () => {
    const name = "cifar10-airbench";
    const stored = leaves(place(findNetwork(name), 7)).flatMap(({ parameters, state }) => [...parameters, ...state]);
    const scale = { name: "3.norm2.weight", shape: [256] };
    const file = async (value: number) => {
      const tensors = [...stored, scale].map((each) => ({
        ...each,
        read: async () => new Float32Array(size(each.shape)).fill(each === scale ? value : 0.5),
      }));
      await writeSafetensors(at("scale"), tensors, {});
      return readFileSync(at("scale"));
    };
    const { network, classes } = await imported(await file(1));
    expect({ network, classes }).toEqual({ network: name, classes: 7 });
    await expect(imported(await file(1.5))).rejects.toThrow(
      /3.norm2.weight isn't 1 throughout, but cifar10-airbench has no scale there that it learns$/,
    );
    expect(existsSync(at(`run${made - 1}`))).toBe(false);
  });

  test.each<[Partial<ImportOptions>, RegExp]>([
    [any({ pixels: 100 }), /pixels 100: must be 1 or 255/],
    [{ deviation: [1, 0, 1] }, /deviation 1,0,1: must be three numbers above 0/],
    [{ model: "smal" }, /no model is called "smal"; did you mean "small"/],
    [{ classes: "nowhere.txt" }, /classes nowhere.txt: no such file/],
  ])("%p is wrong usage, and makes no folder", async (options, message) => {
    await expect(imported(goldenFile("zip.pth"), options)).rejects.toThrow(message);
    await expect(imported(goldenFile("zip.pth"), options)).rejects.toThrow(UsageError);
    expect(existsSync(at(`run${made - 1}`))).toBe(false);
  });

  test("NaN and infinity are found before anything is written", async () => {
    const values = goldenValues("fc4.bias");
    values[3] = NaN;
    const file = Buffer.from(caffe());
    const bias = Buffer.from(goldenValues("fc4.bias").buffer);
    file.set(new Uint8Array(values.buffer), file.lastIndexOf(bias));
    await expect(imported(file)).rejects.toThrow(/fc4.bias of small has numbers that are infinite or NaN/);
    await expect(imported(file)).rejects.toThrow(CheckpointError);
    expect(existsSync(at(`run${made - 1}`))).toBe(false);
  });
});

describe("class names", () => {
  test("a name per line; duplicates are made distinct, and control codes removed", async () => {
    const names = ["crane", "crane", "a\x1b[31mb", "<b>", "ü", "f", "g", "h", "i", "j"];
    writeFileSync(at("names.txt"), `${names.join("\r\n")}\n`);
    const { weights } = await imported(goldenFile("zip.pth"), { classes: at("names.txt") });
    const { checkpoint } = openWeights(weights);
    checkpoint.close();
    expect(checkpoint.classes.slice(0, 5)).toEqual(["crane (0)", "crane (1)", "a [31mb", "<b>", "ü"]);
    writeFileSync(at("few.txt"), "a\nb\n");
    await expect(imported(goldenFile("zip.pth"), { classes: at("few.txt") })).rejects.toThrow(
      /has 2 names, and the network 10/,
    );
  });
});

test("1,000 outputs have ImageNet's names", async () => {
  const tensors = Object.entries(SHAPES).map(([name, shape]) => {
    const sides = name.startsWith("fc4") ? [1000, ...shape.slice(1)] : shape;
    return { name, shape: sides, read: async () => new Float32Array(sides.reduce((a, b) => a * b, 1)) };
  });
  await writeSafetensors(at("thousand"), tensors, {});
  const { names, weights, classes } = await imported(readFileSync(at("thousand")));
  expect([names, classes]).toEqual(["ImageNet", 1000]);
  const { checkpoint } = openWeights(weights);
  checkpoint.close();
  expect(checkpoint.classes[0]).toBe("tench, Tinca tinca");
  expect(checkpoint.classes[999]).toStartWith("toilet tissue");
  expect(new Set(checkpoint.classes).size).toBe(1000);
});

describe("export", () => {
  test("ONNX: the same logits, the preprocessing in words, any number of images", async () => {
    const { files } = await exportModel({ model: torch.run, as: "onnx", out: at("net.onnx"), logits: true });
    expect(files).toEqual([at("net.onnx"), at("net.classes.txt")]);
    const model = readOnnx(readFileSync(at("net.onnx")));
    expect([model.input, model.output]).toEqual([
      ["N", 3, 32, 32],
      ["N", 10],
    ]);
    const pictures = LOGITS.map((_, k) => goldenPicture(32, 32, k));
    const planes = pictures.map((pixels) =>
      Float32Array.from(pixels, (_, i) => pixels[3 * (i % 1024) + Math.floor(i / 1024)]!),
    );
    const data = new Float32Array(planes.flatMap((plane) => [...plane]));
    const all = model.run({ shape: [4, 3, 32, 32], data }).data;
    expectLogits(LOGITS.map((_, n) => [...all.subarray(10 * n, 10 * n + 10)]));
    expect([...model.run({ shape: [1, 3, 32, 32], data: planes[1]! }).data]).toEqual([...all.subarray(10, 20)]);
    expect(model.metadata).toMatchObject({ network: "small", classes: JSON.stringify([..."0123456789"]) });
    expect(model.metadata["preprocessing"]).toMatch(
      /shorter side is 32.* red, green, blue from 0 to 255 .* N × 3 × 32 × 32/,
    );
    expect(readFileSync(at("net.classes.txt"), "utf8")).toBe([..."0123456789"].map((name) => `${name}\n`).join(""));
  });

  test("safetensors, and back: the same bytes", async () => {
    await exportModel({ model: torch.weights, as: "safetensors", out: at("plain") });
    const { metadata, tensors } = openSafetensors(at("plain.safetensors"));
    expect([...tensors.keys()]).toEqual(Object.keys(SHAPES));
    expect(metadata["mean"]!.split(",").map((n) => Number(n).toFixed(2))).toEqual(["123.68", "116.28", "103.53"]);
    expect(existsSync(at("plain.mean.npy"))).toBe(false);
    const back = await imported(readFileSync(at("plain.safetensors")));
    expectLogits(await logits(back.weights));
    const [one, two] = [torch, back].map(({ weights }) => openSafetensors(weights).tensors);
    for (const [name, { read }] of one!) expect(two!.get(name)!.read()).toEqual(read());
  });

  test("a mean image is written beside it, and asked for on import", async () => {
    const image = Float32Array.from({ length: 3072 }, (_, i) => i % 251);
    writeFileSync(at("own.npy"), toNpy(image, [32, 32, 3]));
    const { run } = await imported(goldenFile("zip.pth"), { mean: at("own.npy"), pixels: 255 });
    const { files } = await exportModel({ model: run, out: at("own.safetensors") });
    expect(files).toContain(at("own.mean.npy"));
    expect(fromNpy(new Uint8Array(readFileSync(at("own.mean.npy"))), [32, 32, 3], "mean")).toEqual(image);
    const bytes = readFileSync(at("own.safetensors"));
    await expect(imported(bytes)).rejects.toThrow(/was trained with a mean image: name it with mean/);
    const { weights } = await imported(bytes, { mean: at("own.mean.npy") });
    expect(openSafetensors(weights).tensors.get("preprocessing.mean")!.read()).toEqual(image);
  });

  test("neither of these formats", async () => {
    await expect(exportModel({ model: torch.run, as: any("pth") })).rejects.toThrow(
      /as pth: must be onnx, safetensors, checkpoint or page/,
    );
    await expect(exportModel({ model: torch.run })).rejects.toThrow(
      /as is missing: must be onnx, safetensors, checkpoint or page/,
    );
    await expect(exportModel({ model: torch.run, as: "safetensors", logits: true })).rejects.toThrow(UsageError);
  });
});

describe("an imported run", () => {
  test("predicts", async () => {
    writeFileSync(at("figure.png"), figurePng(3, 1));
    const found: Prediction[] = [];
    await predict({
      images: [at("figure.png")],
      model: torch.run,
      device: "cpu",
      threads: 1,
      onEvent: (event) => event.type === "prediction" && found.push(event.prediction),
    });
    expect(found).toHaveLength(1);
    expect("classes" in found[0]! && found[0].classes).toHaveLength(5);
    await expect(imported(readFileSync(torch.weights))).rejects.toThrow(
      /is already a checkpoint of this program: use it with model: /,
    );
    // It was not trained here: there is nothing to resume, and no data set of its own.
    expect((await findWeights(torch.run)).config).toThrow(/does not say what it was trained on: name the data/);
    await expect(train({ resume: torch.run })).rejects.toThrow(/no run in .*config.json/);
    await expect(importWeights({ file: at("weights0"), out: torch.run })).rejects.toThrow(/already holds a run/);
  });

  test("by the commands, for people and programs", async () => {
    writeFileSync(at("w.pth"), goldenFile("zip.pth"));
    const options = { cwd: folder.path };
    const first = await cli(["import", "w.pth"], options);
    expect(first.stderr).toBe("");
    expect(first.stdout).toMatch(
      /^small, 34,602 parameters, from PyTorch; 10 classes, named by their numbers\npixels 0–255/,
    );
    expect(first.stdout).toContain("bun run predict IMAGE --model runs/small-imported-1\n");
    const [json] = jsonLines((await cli(["import", "w.pth", "--order", "bgr", "--json"], options)).stdout);
    expect(json).toMatchObject({ network: "small", run: at("runs", "small-imported-2") });
    writeFileSync(at("timm.pth"), goldenFile("timm.pth"));
    const timm = await cli(["import", "timm.pth", "--out", "timm"], options);
    expect(timm.stdout).toMatch(
      /^small, 34,602 parameters, from PyTorch \(state_dict\); .*\nNot used: state_dict_ema, whose weights would fit too\n/,
    );
    writeFileSync(at("lightning.ckpt"), goldenFile("lightning.pth"));
    const lightning = await cli(["import", "lightning.ckpt", "--out", "lightning"], options);
    expect(lightning.stdout).toMatch(
      /from PyTorch \(state_dict.net\); .*\nLeft out: criterion.weight: not part of the network\n/,
    );
    const exported = await cli(["export", "runs/small-imported-1", "--as", "onnx"], options);
    expect(exported).toEqual({ code: 0, stdout: "small, 10 classes: small.onnx, small.classes.txt\n", stderr: "" });
    const wrong = await cli(["import", "none.pth"], options);
    expect(wrong).toMatchObject({ code: 2, stderr: "error: there is no file none.pth\n" });
    const name = await cli(["import", "torchvision-alexnt"], options);
    expect(name.stderr).toMatch(
      /did you mean "torchvision-alexnet"\?; by name there is imagenet, torchvision-alexnet\n$/,
    );
    expect(readdirSync(at("runs")).sort()).toEqual(["small-imported-1", "small-imported-2"]);
  });
});
