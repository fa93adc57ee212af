import { describe, expect, test } from "bun:test";
import { logitsError, productError, repeated } from "../../bench/peers/contestant.ts";
import { contestants, missingCompiler, missingInJavaScript, missingInPython } from "../../bench/peers/contestants.ts";
import { parseOutcome, verify } from "../../bench/peers/job.ts";
import { parsePeersArguments } from "../../bench/peers/main.ts";
import { nets } from "../../bench/peers/nets.ts";
import { compare, losses, Rows, table, type Piece } from "../../bench/peers/rows.ts";
import { runContestant } from "../../bench/peers/run.ts";
import { place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { onnxModel } from "../../src/weights/export/onnx.ts";

const piece = (result: string): Piece => ({
  task: "matmul",
  name: `${result} × ${result} × ${result}, 1 thread`,
  result,
  work: { unit: "flop", amount: 2 * Number(result) ** 3 },
});
const ours = { name: "alexnet.ts", device: "cpu:wasm" } as const;
const peer = { name: "A peer", device: "cpu:wasm" } as const;

function outcome(version: string, result: string, samples: number[], error = 1e-7) {
  return { version, results: [{ name: result, samples, error }] };
}

describe("outcomes", () => {
  test("stand on the last line, behind any chatter", () => {
    const said = outcome("A peer 1.0", "256", [2, 1]);
    expect(parseOutcome(`warming up\n{"not": "it"}\n${JSON.stringify(said)}\n`)).toEqual(said);
  });

  test.each([
    "",
    "Segmentation fault",
    "[]",
    '{"version":"1"}',
    '{"version":"1","results":[{"name":"256","samples":[0]}]}',
  ])("are not %p", (output) => expect(() => parseOutcome(output)).toThrow(/outcome/));

  test("count only with a right result", () => {
    const measured = { name: "256", samples: [1] };
    expect(verify("matmul", { ...measured, error: 1e-7 })).toContain("float64");
    expect(() => verify("matmul", { ...measured, error: 1e-3 })).toThrow("256: its error is 0.001");
    expect(verify("step", { ...measured, error: 1e-4 })).toContain("reference");
    expect(() => verify("step", { ...measured, error: 0.01 })).toThrow("its error is");
    expect(() => verify("step", { ...measured, error: NaN })).toThrow("its error is");
    expect(() => verify("step", measured)).toThrow("unknown");
    expect(() => verify("step", { ...measured, samples: [], error: 0 })).toThrow("nothing");
    expect(verify("step", { ...measured, losses: [2.3, 2.2, 2.1] })).toBe("loss 2.300 → 2.100");
    expect(() => verify("step", { ...measured, losses: [2.3, 2.3] })).toThrow("did not fall");
    // What JSON makes of NaN.
    expect(() =>
      verify("step", { ...measured, losses: JSON.parse("[2.3, null]").map((x: number | null) => x ?? NaN) }),
    ).toThrow();
    expect(() => verify("step", { ...measured, losses: [2.3] })).toThrow("did not fall");
  });

  test("errors are found, NaN among them", () => {
    const [a, b] = [new Float32Array([1, 2, 3, 4]), new Float32Array([5, 6, 7, 8])];
    expect(productError(a, b, [19, 22, 43, 50], 2)).toBe(0);
    expect(productError(a, b, [19, 22, 43, 51], 2)).toBeCloseTo(1 / 50);
    expect(productError(a, b, [NaN, NaN, NaN, NaN], 2)).toBeGreaterThan(1e9);
    expect(logitsError([1, 2.5, 9], [1, 2])).toBe(0.25);
    expect(logitsError([NaN, 2], [1, 2])).toBeGreaterThan(1e9);
  });

  test("a batch repeats its images, the last time in part", () => {
    const images = { shape: [2, 1], data: new Float32Array([1, 2]) };
    expect(repeated(images, 5)).toEqual({ shape: [5, 1], data: new Float32Array([1, 2, 1, 2, 1]) });
  });
});

describe("rows", () => {
  test("rounds are merged: best and median of all samples", () => {
    const rows = new Rows();
    rows.add(peer, [piece("256")], outcome("A peer 1.0", "256", [3, 5]));
    rows.add(peer, [piece("256")], outcome("A peer 1.0", "256", [2, 4, 9]));
    expect(rows.rows).toHaveLength(1);
    expect(rows.rows[0]).toMatchObject({ suite: "matmul", contestant: "A peer 1.0", device: "cpu:wasm" });
    expect(rows.rows[0]!.ms).toEqual({ best: 2, median: 4, count: 5, samples: [3, 5, 2, 4, 9] });
  });

  test("what can't be done is skipped by name with the reason", () => {
    const rows = new Rows();
    const results = [{ name: "256", cannot: "it has no products" }];
    rows.add(peer, [piece("256"), piece("512")], { version: "1", results });
    expect(rows.rows).toEqual([]);
    expect(rows.skipped.map(({ name, contestant, reason }) => [name, contestant, reason])).toEqual([
      [piece("256").name, "A peer", "it has no products"],
      [piece("512").name, "A peer", "it did not report it"],
    ]);
    expect(table(rows.rows, rows.skipped)).toContain(`- A peer not at ${piece("256").name}: it has no products`);
  });

  test("a wrong result is not reported", () => {
    const rows = new Rows();
    rows.add(peer, [piece("256")], outcome("1", "256", [1], 0.5));
    expect(rows.rows).toEqual([]);
    expect(rows.skipped[0]!.reason).toContain("its error is 0.5");
  });

  test("the ratio says how many times as fast ours is, by the best times", () => {
    const rows = new Rows();
    rows.add(ours, [piece("256")], outcome("alexnet.ts 0.1.0", "256", [2, 8]));
    rows.add(peer, [piece("256"), piece("512")], outcome("A peer 1.0", "256", [3, 4]));
    rows.add({ ...peer, name: "Another" }, [piece("256")], outcome("Another 2.0", "256", [1]));
    expect(compare(rows.rows).map(({ theirs, ratio }) => [theirs.contestant, ratio])).toEqual([
      ["A peer 1.0", 1.5],
      ["Another 2.0", 0.5],
    ]);
    expect(losses(rows.rows)).toEqual([`${piece("256").name}: Another 2.0 is 2.00 times as fast as the best of ours`]);
    const lines = table(rows.rows, []).split("\n");
    expect(lines).toContain("| 256 × 256 × 256, 1 thread | A peer 1.0 | 11.2 GFLOP/s | 16.8 GFLOP/s | 1.50× |");
  });
});

describe("contestants", () => {
  test("are skipped by name where they are not installed", async () => {
    expect(missingInJavaScript(["@some/peer"], "/nowhere")).toBe("@some/peer not installed: bun bench/peers/setup.ts");
    expect(missingInPython(["torch"], "/nowhere/python")).toContain("there is no Python at /nowhere/python");
    expect(missingCompiler({ CXX: "/nowhere/c++" })).toBe(
      "torch.compile needs a C++ compiler, and there is no /nowhere/c++: install it, or set CXX",
    );
    const broken = { ...contestants("cpu")[0]!, command: async () => [process.execPath, "/nowhere/peer.ts"] };
    const ran = await runContestant(broken, { task: "parameters", models: ["alexnet"] });
    expect(ran).toMatch(/^ended with status 1: /);
  });

  test.each([
    [["matmull"], 'there is no suite "matmull"; did you mean "matmul"?'],
    [["--rounds", "0"], "--rounds 0"],
    [["--batch", "32,0"], "--batch 0"],
    [["--rounds", "1.5"], "--rounds 1.5"],
    [["--device", "tpu"], "--device tpu"],
    [["--what"], "--what"],
  ])("arguments that make no sense are refused: %p", (words, message) => {
    expect(() => parsePeersArguments(words)).toThrow(message);
  });
});

describe("the networks of the peers are ours", () => {
  const models = Object.keys(nets);

  test.each(models)("in JavaScript: %s", (model) => {
    const layers = place(findNetwork(model)).filter(({ layer }) => layer.kind !== "dropout");
    const specs = nets[model]!.filter(({ kind }) => kind !== "flatten");
    expect(specs.map(({ kind }) => kind as string)).toEqual(layers.map(({ layer }) => layer.kind));
    specs.forEach((spec, i) => {
      const { input, output, parameters } = layers[i]!;
      if (spec.kind === "conv") {
        const [, channels = 0, height = 0] = parameters[0]!.shape;
        expect([channels * spec.groups, Math.floor((input[1] + 2 * spec.pad - height) / spec.stride)]).toEqual([
          input[0],
          output[1] - 1,
        ]);
      } else if (spec.kind === "max-pool" || spec.kind === "average-pool") {
        const positions = (input[1] - 3) / 2 + 1;
        expect(spec.over ? Math.ceil(positions) : Math.floor(positions)).toBe(output[1]);
      }
    });
  });

  const torch = contestants("cpu").find(({ id }) => id === "torch")!;
  const missing = torch.missing();
  test.skipIf(missing !== undefined)(
    `in PyTorch, by the number of parameters${missing ? ` (${missing})` : ""}`,
    async () => {
      const both = [contestants("cpu")[0]!, torch];
      const all = [...models, "cifar10-airbench", "resnet18", "efficientnet-lite0"];
      const ran = await Promise.all(both.map((each) => runContestant(each, { task: "parameters", models: all })));
      const [mine, theirs] = ran.map((each) => (typeof each === "string" ? each : each.outcome.results));
      expect(mine).toHaveLength(all.length);
      expect(theirs).toEqual(mine!);
    },
    60_000,
  );
});

test("ONNX models are written as protobuf's own library writes them", () => {
  const model = onnxModel({
    nodes: [
      { op: "Conv", inputs: ["x", "w"], output: "y", attributes: { strides: [4, 4], group: 2 } },
      { op: "LRN", inputs: ["y"], output: "z", attributes: { size: 5, alpha: { float: 0.5 } } },
    ],
    inputs: { x: [1, 300] },
    constants: new Map([["w", { shape: [2], data: new Float32Array([1, 2]) }]]),
    output: "z",
  });
  // Of onnx 1.23.2, SerializeToString() of the same model.
  const expected =
    "08083a97010a2f0a01780a01771201792204436f6e762a100a077374726964657340044004a001072a0c0a0567726f757018" +
    "02a001020a290a017912017a22034c524e2a0b0a0473697a651805a001022a0f0a05616c706861150000003fa00101120567" +
    "726170682a11080210014201774a080000803f000000405a140a0178120f0a0d080112090a0208010a0308ac0262090a017a" +
    "12040a02080142040a001011";
  expect(model.toHex()).toBe(expected);
});
