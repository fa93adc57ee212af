/** A finished training is calibrated; what gives probabilities goes by it, and so does what is exported. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { centreView } from "../../src/data/augmentation.ts";
import { openReference } from "../../src/engine/reference.ts";
import { CheckpointError } from "../../src/errors.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { openTrained } from "../../src/inference/loaded_model.ts";
import * as L from "../../src/net/layers/index.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { exportModel } from "../../src/verbs/export/export.ts";
import { predict, type Prediction } from "../../src/verbs/predict/predict.ts";
import { train } from "../../src/verbs/train/train.ts";
import type { Calibration } from "../../src/weights/calibration.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { openSafetensors, writeSafetensors } from "../../src/weights/safetensors.ts";
import { cli, tiny } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { figurePng, makePhotos, plain } from "../support/images.ts";
import { readOnnx } from "../support/onnx.ts";
import { tensorsOf } from "../support/tensors.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const CPU = { device: "cpu", threads: 1 } as const;
const [run, best] = [at("run"), at("run", "best.safetensors")];
const options = { ...tiny, rate: 0.002, holdOut: 0.3 };
const events: TrainEvent[] = [];
let calibration: Calibration;

function calibrationOf(path: string): Calibration | undefined {
  using checkpoint = openCheckpoint(path);
  return checkpoint.calibration;
}

beforeAll(async () => {
  await makePhotos(at("photos"), 3, 60);
  await train({ ...options, data: at("photos"), epochs: 1, out: run, onEvent: (event) => events.push(event) });
  calibration = calibrationOf(best)!;
});

describe("the best checkpoint", () => {
  test("has a temperature that lowers the loss, and the calibration error", async () => {
    expect(calibration.images).toBe(54);
    expect(calibration.after).toBeLessThan(calibration.before);
    const { total } = await evaluate({ ...CPU, model: run });
    const epoch = events.find((event) => event.type === "epoch")!;
    expect(total.loss / total.images).toBeLessThan(epoch.val.loss);
    expect(total.wrong1 / total.images).toBe(epoch.val.top1);
    expect(events).toContainEqual({ type: "calibrated", ...calibration });
    const page = readFileSync(join(run, "report.html"), "utf8");
    expect(page).toContain("calibration error");
    expect(page).toContain(`temperature ${calibration.temperature.toFixed(2)}`);
  });

  test("only of a training that was finished, with 50 validation images or more", async () => {
    const stop = new AbortController();
    const report = (event: TrainEvent) => event.type === "epoch" && stop.abort();
    const data = at("photos");
    await train({ ...options, data, epochs: 2, out: at("stopped"), onEvent: report, signal: stop.signal });
    expect(calibrationOf(at("stopped", "best.safetensors"))).toBeUndefined();
    await train({ ...options, data, epochs: 1, holdOut: 0.25, out: at("few") });
    expect(calibrationOf(at("few", "best.safetensors"))).toBeUndefined();
  });

  test("of better weights has one of its own; of the same it is not made again", async () => {
    cpSync(run, at("longer"), { recursive: true });
    const path = at("longer", "best.safetensors");
    const before = tensorsOf(path);
    await train({ resume: at("longer") });
    expect([tensorsOf(path), calibrationOf(path)]).toEqual([before, calibration]);
    await train({ resume: at("longer"), epochs: 3 });
    expect(tensorsOf(path)).not.toBe(before);
    expect(calibrationOf(path)!.temperature).not.toBe(calibration.temperature);
    expect(calibrationOf(at("longer", "last.safetensors"))).toBeUndefined();
  });

  test("that another training starts from does not pass it on", async () => {
    const { model: _, ...rest } = options;
    await train({ ...rest, data: at("photos"), limit: 20, from: run, epochs: 1, out: at("tuned") });
    expect(calibrationOf(at("tuned", "best.safetensors"))).toBeUndefined();
  });
});

test("a network that ends with a convolution compares means over its maps", async () => {
  const sigma = 0.1;
  const layers = (classes: number) => [
    ...[L.conv("conv1", 6, 3, { stride: 2, sigma }), L.relu()],
    ...[L.conv("conv2", classes, 1, { sigma }), L.globalAveragePool()],
  ];
  const model = { crop: 8, layers };
  await train({ ...options, model, data: at("photos"), epochs: 1, out: at("maps") });
  using checkpoint = openCheckpoint(at("maps", "best.safetensors"));
  expect(checkpoint.prototypes().shape).toEqual([126, 6]);
});

describe("exported", () => {
  test("as a checkpoint it is kept", async () => {
    await exportModel({ model: run, as: "checkpoint", half: true, out: at("kept") });
    expect(calibrationOf(at("kept.safetensors"))).toEqual(calibration);
    using from = openCheckpoint(best);
    using to = openCheckpoint(at("kept.safetensors"));
    expect(to.prototypes()).toEqual(from.prototypes());
  });

  test("as ONNX the probabilities are those of predict; logits are as they were", async () => {
    await exportModel({ model: run, as: "onnx", out: at("net") });
    await exportModel({ model: run, as: "onnx", logits: true, out: at("raw") });
    const [net, raw] = [at("net.onnx"), at("raw.onnx")].map((file) => readOnnx(readFileSync(file)));
    expect(raw!.metadata.temperature).toBe(String(calibration.temperature));
    using trained = await openTrained(run);
    const { record, crop } = trained.network;
    expect(crop).toBe(record);
    const pixels = Uint8Array.from({ length: record * record * 3 }, (_, i) => (i * i) % 251);
    const data = Float32Array.from(
      pixels,
      (_, i) => pixels[(i % (record * record)) * 3 + Math.floor(i / record ** 2)]!,
    );
    const image = { shape: [1, 3, record, record], data };
    await using backend = openReference("f32");
    const { model, mean, temperature } = trained.load(backend);
    const p = await probabilities(model, mean, pixels, [centreView(1, record, crop)], temperature);
    const logits = [...raw!.run(image).data].map((logit) => Math.exp(logit / calibration.temperature));
    const sum = logits.reduce((total, each) => total + each);
    for (const [k, share] of net!.run(image).data.entries()) {
      expect(share).toBeCloseTo(p[k]!, 5);
      expect(share).toBeCloseTo(logits[k]! / sum, 5);
    }
  });
});

describe("predict", () => {
  async function ask(images: readonly string[], atLeast?: number) {
    const found: Extract<Prediction, { classes: unknown }>[] = [];
    await predict({
      ...CPU,
      model: run,
      images,
      ...(atLeast !== undefined && { atLeast }),
      onEvent: (event) => event.type === "prediction" && "classes" in event.prediction && found.push(event.prediction),
    });
    return found;
  }

  test("is unsure below a probability", async () => {
    await writeFiles(at("one"), { "a.png": figurePng(0, 0) });
    const [plain] = await ask([at("one")]);
    const { probability } = plain!.classes[0]!;
    expect(plain).not.toHaveProperty("unsure");
    expect((await ask([at("one")], probability))[0]).not.toHaveProperty("unsure");
    expect((await ask([at("one")], Math.min(1, probability + 1e-6)))[0]).toEqual({ ...plain!, unsure: true });
  });

  test("tells what is unlike all photos that it was trained on", async () => {
    await writeFiles(at("odd"), { "white.png": await plain(255), "red.png": await plain(255, 0, 0) });
    for (const { unlike, distance } of await ask([at("odd")])) {
      expect(unlike).toBe(true);
      expect(distance!).toBeGreaterThan(calibration.limit);
    }
    const usual = await ask([at("photos")]);
    expect(usual.length).toBe(180);
    expect(usual.filter(({ unlike }) => unlike).length).toBeLessThan(0.05 * 180);
    for (const { unlike, distance } of usual) expect(unlike === true).toBe(distance! > calibration.limit);
  });

  test("says so under the image's name; the exit code is 0", async () => {
    const args = ["--model", run, "--device", "cpu", "--threads", "1", "--at-least", "1"];
    await writeFiles(at("say"), { "white.png": await plain(255) });
    const { code, stdout, stderr } = await cli(["predict", join("say", "white.png"), ...args], { cwd: folder.path });
    expect([code, stderr]).toEqual([0, ""]);
    const [name, doubts, first] = stdout.split("\n");
    expect(name).toBe(join("say", "white.png"));
    expect(doubts).toBe("  unsure; unlike anything it was trained on");
    expect(first).toMatch(/^ {2}c\d .*%$/);
  });

  test("--at-least takes a probability", async () => {
    await expect(ask([at("one")], 70)).rejects.toThrow("predict: atLeast 70: must be a probability above 0, up to 1");
  });
});

describe("a stranger's checkpoint", () => {
  /** The best checkpoint with another calibration, or without its prototypes. */
  async function changed(name: string, calibration: string, prototypes?: readonly [number, ...number[]]) {
    using file = openSafetensors(best);
    const tensors = [...file.tensors].flatMap(([name, { shape, read }]) => {
      if (name !== "calibration.prototypes") return [{ name, shape, read: async () => read() }];
      const zeros = async () => new Float32Array(prototypes!.reduce((a, b) => a * b, 1));
      return prototypes ? [{ name, shape: prototypes, read: zeros }] : [];
    });
    await writeSafetensors(at(name), tensors, { ...file.metadata, calibration });
    return at(name);
  }
  const refused = async (path: string, message: string) => {
    const asking = predict({ ...CPU, model: path, images: [at("one")] });
    const error = await asking.then(() => undefined, (error: unknown) => error); // prettier-ignore
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toBe(`${path}: ${message}`);
  };

  test("with a calibration that makes no sense, or doesn't fit, is refused", async () => {
    const good = JSON.stringify(calibration);
    const with_ = (change: object) => JSON.stringify({ ...calibration, ...change });
    await refused(await changed("a.safetensors", "{", [1, 2]), "its calibration is not JSON");
    await refused(
      await changed("b.safetensors", with_({ temperature: 0 }), [1, 2]),
      "its calibration: temperature 0: must be from 0.001 to 1000",
    );
    await refused(
      await changed("c.safetensors", with_({ limit: undefined }), [1, 2]),
      "its calibration: limit undefined: must be from 0 to 2",
    );
    await refused(await changed("d.safetensors", good), "calibration.prototypes is missing");
    await refused(await changed("e.safetensors", good, [4]), "calibration.prototypes is 4, must be rows × features");
    await refused(await changed("f.safetensors", good, [2, 3]), "its prototypes have 3 features, the network 64");
  });
});
