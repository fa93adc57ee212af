/** Every suite from end to end, at sizes of a toy, with what it computes checked; times are not looked at. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Bench } from "../../bench/bench.ts";
import { openBenchDevice } from "../../bench/devices.ts";
import { layerPiece, namedLayers } from "../../bench/layer_piece.ts";
import { layersText } from "../../bench/report.ts";
import { augment } from "../../bench/suites/augment.ts";
import { conv } from "../../bench/suites/conv.ts";
import { lrn, pointwise, pool } from "../../bench/suites/elementwise.ts";
import { layers } from "../../bench/suites/layers.ts";
import { loader } from "../../bench/suites/loader.ts";
import { matmul } from "../../bench/suites/matmul.ts";
import { predict } from "../../bench/suites/predict.ts";
import { step } from "../../bench/suites/step.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { batchNorm, conv as convolution, fc, relu, residual } from "../../src/net/layers/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { benchOn, ONCE, referenceDevice, toy } from "../support/toy.ts";

// Processes take their time on a busy machine.
setDefaultTimeout(60_000);

const cpu = await openBenchDevice("cpu:wasm", 2);
afterAll(() => cpu.backend.close());
const options = { network: toy, batches: [3], quick: false };
const names = ({ rows }: Bench) => rows.map(({ name }) => name);

/** All was measured, nothing was wrong. */
function expectAll(bench: Bench): void {
  expect(bench.skipped).toEqual([]);
  expect(bench.rows.length).toBeGreaterThan(0);
  for (const { ms, check, ofRoof, work } of bench.rows) {
    expect(ms.count).toBeGreaterThanOrEqual(2);
    expect(check).not.toBe("");
    if (work.unit !== "image") expect(ofRoof).toBeGreaterThan(0);
  }
}

test("the roof of a device is positive", () => {
  expect(cpu.roof.flopsPerSecond).toBeGreaterThan(1e6);
  expect(cpu.roof.bytesPerSecond).toBeGreaterThan(1e6);
});

describe("on the cpu", () => {
  test.each([conv, pool, lrn, pointwise, augment, layers, step])("$name", async (suite) => {
    const bench = benchOn([cpu]);
    await suite.run(bench, options);
    expectAll(bench);
    if (suite === conv) {
      expect(names(bench)).toEqual(
        ["conv1", "conv2", "local3"].flatMap((label) =>
          ["forward", "input gradient", "weight gradient"].map((pass) => `${label} ${pass}, batch 3`),
        ),
      );
      // 2 · 4 filters · 7 · 7 positions · 3 maps · 5 · 5 · 3 images
      expect(bench.rows[0]!.work).toEqual({ unit: "flop", amount: 2 * 4 * 7 * 7 * 3 * 25 * 3 });
    }
    if (suite === layers) {
      const shares = bench.rows.filter(({ name }) => !name.includes("whole step")).map(({ share }) => share!);
      expect(bench.rows.at(-1)).toMatchObject({ name: "toy whole step, batch 3", share: 1 });
      expect(shares.reduce((sum, share) => sum + share)).toBeWithin(0.5, 1.5);
      const lines = layersText(bench.rows).split("\n");
      expect(lines[0]).toMatch(/^batch 3 +cpu:wasm  forward  backward  share$/);
      // augment, 14 layers, of which two are computed by those before them: conv1's ReLU and the max-pooling after an LRN;
      // loss, update, whole step
      expect(lines.length).toBe(1 + 1 + toy.layers(4).length - 2 + 3);
    }
  });

  test("layers in blocks, each by itself", async () => {
    const bench = benchOn([cpu]);
    const body = [convolution("body", 4, 3, { pad: 1, sigma: 0.1, bias: false }), batchNorm("norm")];
    const network = {
      ...toy,
      layers: (classes: number) => [
        [convolution("conv1", 4, 3, { sigma: 0.1 }), residual("block", body), relu()],
        fc("fc2", classes, { sigma: 0.1 }),
      ],
    };
    await layers.run(bench, { ...options, network });
    expectAll(bench);
    const parts = ["conv1", "body", "norm", "block", "fc2", "loss"];
    expect(names(bench).filter((name) => name.endsWith("forward, batch 3"))).toEqual(
      parts.map((part) => `toy ${part} forward, batch 3`),
    );
  });

  test("running statistics begin at their initial values: memory holds anything", async () => {
    const bench = benchOn([referenceDevice()]);
    const network = {
      ...toy,
      layers: (classes: number) => [
        convolution("conv1", 4, 3, { stride: 4, sigma: 0.1 }),
        batchNorm("norm"),
        fc("fc2", classes, { sigma: 0.1 }),
      ],
    };
    await step.run(bench, { ...options, network });
    expectAll(bench);
  });

  test("one image: nothing smaller can be tried first", async () => {
    const bench = benchOn([cpu]);
    for (const suite of [conv, layers, step]) await suite.run(bench, { ...options, batches: [1] });
    expectAll(bench);
  });

  test("matmul: the CPU's ladder and a layer", async () => {
    const bench = benchOn([cpu], { ...ONCE, least: 1, most: 1, passMs: 3000 });
    await matmul.run(bench, { ...options, quick: true });
    expect(bench.wrong).toEqual([]);
    const first = bench.rows.filter(({ name }) => name === "256×256×256").map(({ contestant }) => contestant);
    expect(first).toContain("cpu_1_typescript");
    expect(first.at(-1)).toBe("linear");
    expect(names(bench)).toContain("fc5 weight gradient, batch 3");
  });

  test("loader", async () => {
    const { path: data, remove } = temporaryFolder();
    await makePhotos(data, 2, 5);
    const bench = benchOn([cpu]);
    await loader.run(bench, { ...options, data });
    remove();
    expectAll(bench);
    const read = ["decode", "decode and augment"];
    expect(bench.rows.map(({ contestant }) => contestant)).toEqual([...read, "pack", ...read, "pack", ...read]);
  });

  test("predict: cold and warm say the same", async () => {
    const bench = benchOn([cpu]);
    await predict.run(bench, { ...options, network: small });
    expectAll(bench);
    expect(names(bench)).toEqual(["small, one photo, cold", "small, one photo, warm"]);
  });
});

describe("what is computed wrongly has no time", () => {
  /** Something goes wrong after every kernel of this name. */
  const spoiltAfter = (name: string, spoil: (data: Float32Array) => void) =>
    referenceDevice((backend): Partial<Backend> => ({
      run(kernel, buffers, uniforms) {
        backend.run(kernel, buffers, uniforms);
        if (kernel.name !== name) return;
        const output = Object.keys(kernel.buffers).find((key) => kernel.buffers[key as never] === "write")!;
        const { buffer, data } = (buffers as Record<string, any>)[output];
        spoil((data ?? buffer.data) as Float32Array);
      },
    }));

  test.each([
    ["conv2d_forward", conv],
    ["conv2d_backward_x", conv],
    ["conv2d_backward_w", conv],
    ["linear_forward_narrow", matmul],
    ["max_pool_forward", pool],
    ["lrn_backward", lrn],
    ["relu_backward", pointwise],
    ["row_sum", pointwise],
    ["augment", augment],
  ] as const)("%s, one in a hundred too large", async (kernel, suite) => {
    const bench = benchOn([spoiltAfter(kernel, (data) => data.forEach((value, i) => (data[i] = 1.01 * value)))]);
    if (suite === matmul) {
      const fc = namedLayers(toy).find(({ label }) => label === "fc4")!;
      await bench.contest(layerPiece("matmul", fc, "forward", 3, bench.devices));
    } else await suite.run(bench, { ...options, quick: true });
    expect(bench.wrong.length).toBeGreaterThan(0);
    for (const { reason } of bench.wrong) expect(reason).toMatch(/^WRONG: number \d+ is .*, should be /);
    const wrong = new Set(bench.wrong.map(({ name }) => name));
    expect(names(bench).filter((name) => wrong.has(name))).toEqual([]);
  });

  test("a kernel that writes nothing", async () => {
    const idle = referenceDevice((backend) => ({
      run: (kernel, buffers, uniforms) => {
        if (kernel.name !== "conv2d_forward") backend.run(kernel, buffers, uniforms);
      },
    }));
    const bench = benchOn([idle]);
    const [first] = namedLayers(toy);
    await bench.contest(layerPiece("conv", first!, "forward", 3, [idle]));
    expect(bench.wrong.map(({ reason }) => reason)).toEqual(["WRONG: number 0 of 588 is NaN"]);
    expect(bench.rows).toEqual([]);
  });
});

describe("what can't be done is skipped by name", () => {
  const [first] = namedLayers(toy);

  test("a tensor over the device's limit", async () => {
    const device = referenceDevice(({ limits }) => ({ limits: { ...limits, bindingBytes: 4000 } }));
    const bench = benchOn([device]);
    await bench.contest(layerPiece("conv", first!, "forward", 3, [device]));
    expect(bench.skipped).toEqual([
      {
        ...{ suite: "conv", name: "conv1 forward, batch 3", contestant: "conv2d", device: "plain" },
        reason: "a tensor of 1 MB: plain binds at most 1 MB",
      },
    ]);
  });

  test("what takes no time by the device's clock", async () => {
    const quick = referenceDevice(({ profile }) => ({
      profile: async (work) => (await profile(work)).map((time) => ({ ...time, ms: 0 })),
    }));
    const bench = benchOn([quick]);
    await bench.contest(layerPiece("conv", first!, "forward", 3, [quick]));
    expect(bench.skipped.map(({ reason }) => reason)).toEqual(["takes less time than the device's clock can resolve"]);
    expect(bench.rows).toEqual([]);
  });

  test("what would take too long, found out on fewer images", async () => {
    const slow = referenceDevice(({ profile }) => ({
      profile: async (work) => (await profile(work)).map((time) => ({ ...time, ms: 60_000 })),
    }));
    const bench = benchOn([slow], { ...ONCE, passMs: 600_000 });
    // 2 images are tried and take a minute: so 64 take 32.
    await bench.contest(layerPiece("conv", first!, "forward", 64, [slow]));
    expect(bench.skipped.map(({ reason }) => reason)).toEqual([
      "takes about 1,920 s, more than the 600 s of --longest",
    ]);
    expect(bench.rows).toEqual([]);
  });
});
