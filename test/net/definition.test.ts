/** Networks as data: written, read back, and what is said of one that makes no sense. */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { softmaxCrossEntropy } from "../../src/engine/ops/softmax_cross_entropy.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { UsageError } from "../../src/errors.ts";
import { defineNetwork, networkFromJson, networkIn, networkMetadata, networkToJson } from "../../src/net/definition.ts";
import * as L from "../../src/net/layers/index.ts";
import {
  batchNorm,
  concat,
  conv,
  divide,
  fc,
  globalAveragePool,
  local,
  maxPool,
  relu,
  residual,
} from "../../src/net/layers/index.ts";
import { leaves, Model, place } from "../../src/net/model.ts";
import { openNetwork } from "../../src/net/network_file.ts";
import { networks } from "../../src/net/networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { describeBackends } from "../support/backends.ts";
import { temporaryFolder } from "../support/folders.ts";
import { randomArray } from "../support/data.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

/** What a network computes and learns: its layers with their shapes, for people, and how their parameters start. */
const factsOf = (network: Network, classes: number) =>
  leaves(place(network, classes)).map(({ layer: { kind, name, settings }, input, output, parameters }) => ({
    ...{ kind, name, settings, input, output, parameters },
  }));

describe("every network of this program", () => {
  test.each(networks.map((network) => [network.name, network] as const))("%s is read back as it is", (_, network) => {
    const read = networkFromJson(JSON.parse(JSON.stringify(networkToJson(network))), "");
    const { layers: _layers, ...facts } = network;
    expect(read).toMatchObject(facts);
    for (const classes of [network.classes, 7]) expect(factsOf(read, classes)).toEqual(factsOf(network, classes));
    expect(networkToJson(read)).toEqual(networkToJson(network));
  });
});

const START = { sigma: 0.3 };
const tiny = defineNetwork(
  {
    crop: 6,
    layers: (classes) => [
      [divide(2), conv("conv1", 4, 3, { pad: 1, ...START }), relu()],
      residual(
        "block1",
        [
          [conv("block1.conv1", 5, 3, { pad: 1, stride: 2, ...START }), batchNorm("block1.bn1"), relu()],
          conv("block1.conv2", 5, 3, { pad: 1, ...START }),
        ],
        [conv("block1.shortcut", 5, 1, { stride: 2, ...START })],
      ),
      [relu(), residual("block2", [conv("block2.conv1", 5, 3, { pad: 1, ...START })])],
      concat("block3", [[conv("block3.conv", 2, 1, START), relu()], []]),
      concat("block4", [
        [maxPool(3, 3), conv("block4.conv", 3, 1, START)],
        [globalAveragePool(), relu()],
      ]),
      fc("fc", classes, START),
    ],
  },
  "tiny",
);

test("a person says the layers and the size of the images; the rest is usual", () => {
  expect(tiny).toMatchObject({ name: "tiny", crop: 6, record: 6, classes: 2, about: "" });
  expect(tiny.recipe).toMatchObject({ epochs: 30, schedule: { kind: "cosine", rate: 0.01 } });
  expect(tiny.recipe.augmentation).toMatchObject({ mirror: true, crop: false });
  expect(defineNetwork({ ...tiny, record: 8, recipe: {} }).recipe.augmentation.crop).toBe(true);
  expect(networkToJson(tiny).layers.at(-1)).toEqual({ kind: "fc", name: "fc", outputs: "classes", sigma: 0.3 });
});

test("padding may be a word", () => {
  const options = { stride: 2, pad: "same", sigma: 1 } as const;
  const layers = (n: number) => [
    conv("a", 4, 3, options),
    conv("b", 4, 3, { ...options, groups: 4 }),
    local("c", 2, 2, options),
    fc("d", n, START),
  ];
  const network = defineNetwork({ crop: 10, layers });
  const json = networkToJson(network);
  expect(json.layers[1]).toEqual({ kind: "conv", name: "b", filters: 4, size: 3, groups: 4, ...options });
  const read = networkFromJson(JSON.parse(JSON.stringify(json)), "");
  expect(factsOf(read, 3)).toEqual(factsOf(network, 3));
  expect(place(read, 3).map(({ output }) => output)).toEqual([
    [4, 5, 5],
    [4, 3, 3],
    [2, 2, 2],
    [3, 1, 1],
  ]);
  expect(leaves(place(read, 3))[1]!.layer.settings).toBe("4 of 3×3, stride 2, pad same, groups 4");
});

test("every activation function is read back as it is", () => {
  const functions = [L.relu, L.tanh, L.relu6, L.sigmoid, L.silu, L.gelu, L.geluTanh, L.hardSwish];
  const rows = functions.map((make) => make());
  const network = defineNetwork({ crop: 6, layers: (classes) => [rows, fc("fc", classes, START)] }, "activations");
  const read = networkFromJson(JSON.parse(JSON.stringify(networkToJson(network))), "");
  const kinds = ["relu", "tanh", "relu6", "sigmoid", "silu", "gelu", "gelu-tanh", "hard-swish", "fc"];
  expect(factsOf(read, 3).map(({ kind }) => kind)).toEqual(kinds);
  expect(leaves(place(read, 3)).filter(({ layer }) => "isActivation" in layer)).toHaveLength(functions.length);
});

describe("a network of blocks", () => {
  const [images, classes] = [3, 4];
  const x = randomArray([3, 6, 6, images], 5);
  const labels = Uint32Array.of(0, 3, 1);

  /** The loss, and its gradient with respect to every parameter. */
  async function learn(model: Model): Promise<{ loss: number; gradients: Map<string, ArrayLike<number>> }> {
    const { backend } = model.parameters[0]!;
    const tape = new Tape(backend);
    const { loss } = softmaxCrossEntropy(model.forward(tape.input([3, 6, 6, images], x)), tape.input([images], labels));
    tape.backward(loss);
    const gradients = new Map<string, ArrayLike<number>>();
    for (const { name, grad } of model.parameters) gradients.set(name, (await grad!.read()).slice());
    const [value] = await loss.read();
    tape.release();
    for (const parameter of model.parameters) parameter.grad = undefined;
    return { loss: value!, gradients };
  }

  test("has the gradients that differences of its loss show, in float64", async () => {
    const model = new Model(tiny, openReference("f64"), classes);
    model.initialise(1);
    const { gradients } = await learn(model);
    for (const { name, buffer, backend, size } of model.parameters) {
      const values = Float64Array.from(await backend.read(buffer, 0, size));
      for (const i of [0, size >> 1, size - 1]) {
        const at = async (step: number) => {
          backend.write(buffer, values.with(i, values[i]! + step));
          return (await learn(model)).loss;
        };
        const difference = ((await at(1e-5)) - (await at(-1e-5))) / 2e-5;
        backend.write(buffer, values);
        expect(Math.abs(gradients.get(name)![i]! - difference), name).toBeLessThan(1e-7);
      }
    }
  });

  describeBackends("the same", ({ open }) => {
    test("as the reference", async () => {
      const [reference, device] = [openReference(), await open()];
      const [expected, found] = [new Model(tiny, reference, classes), new Model(tiny, device, classes)];
      for (const model of [expected, found]) model.initialise(1);
      const [right, is] = [await learn(expected), await learn(found)];
      expect(Math.abs(is.loss - right.loss)).toBeLessThan(1e-5);
      for (const [name, gradient] of right.gradients) {
        const largest = Math.max(...Array.from(gradient, Math.abs));
        expect(largest).toBeGreaterThan(0);
        const other = is.gradients.get(name)!;
        for (let i = 0; i < gradient.length; i++) {
          expect(Math.abs(other[i]! - gradient[i]!), name).toBeLessThan(1e-4 * largest);
        }
      }
    });
  });
});

describe("what is wrong is said with the layer and the reason", () => {
  const json = JSON.parse(JSON.stringify(networkToJson(tiny))) as Record<string, unknown> & { layers: unknown[] };
  const withLayer = (at: number, layer: unknown) => ({ ...json, layers: json.layers.with(at, layer) });
  const { momentum: _, ...withoutMomentum } = tiny.recipe;
  const cases: readonly (readonly [message: string, network: unknown])[] = [
    ['"alexnet": must be a network, an object with layers', "alexnet"],
    [
      'name "../x": must be up to 64 letters, digits, _ . or -, starting with a letter, digit or _',
      { ...json, name: "../x" },
    ],
    ['there is no field "crops"; did you mean "crop"?', { ...json, crops: 3 }],
    ["crop 6.5: must be a whole number up to 4096", { ...json, crop: 6.5 }],
    ["crop 6: must be at most record, 5", { ...json, record: 5 }],
    ["classes is missing", { ...json, classes: undefined }],
    ["recipe: momentum is missing", { ...json, recipe: withoutMomentum }],
    [
      'recipe: groups: tiny has no parameters "cnv"; did you mean "conv1"?',
      { ...json, recipe: { ...tiny.recipe, groups: [{ of: "cnv", rate: 2 }] } },
    ],
    [
      'recipe: groups: number 1 is {"of":"conv","rat":2}: must have "of", and "rate" or "decay" of at least 0',
      { ...json, recipe: { ...tiny.recipe, groups: [{ of: "conv", rat: 2 }] } },
    ],
    [
      'recipe: groups 3: must be a list of up to 1000 groups, as in [{"of": "biases", "decay": 0}]',
      { ...json, recipe: { ...tiny.recipe, groups: 3 } },
    ],
    ["recipe: epochs 0: must be a whole number above 0", { ...json, recipe: { ...tiny.recipe, epochs: 0 } }],
    ["layers: must be a list of at least one layer", { ...json, layers: [] }],
    ['layer 3: 7: must be a layer, such as {"kind": "relu"}', withLayer(2, 7)],
    ['layer 3: there is no kind of layer "rellu"; did you mean "relu"?', withLayer(2, { kind: "rellu" })],
    ['layer 3: there is no kind of layer "constructor"', withLayer(2, { kind: "constructor" })],
    ['layer 3, relu: there is no option "slope"', withLayer(2, { kind: "relu", slope: 0.1 })],
    [
      'layer 2: conv c: there is no option "padding"; did you mean "pad"?',
      withLayer(1, { kind: "conv", name: "c", filters: 4, size: 3, sigma: 1, padding: 1 }),
    ],
    [
      'layer 2: conv c: pad is "valid", must be a whole number, at least 0, or "same"',
      withLayer(1, { kind: "conv", name: "c", filters: 4, size: 3, sigma: 1, pad: "valid" }),
    ],
    [
      "layer 2: conv c: filters is 2.5, must be a whole number, at least 1",
      withLayer(1, { kind: "conv", name: "c", filters: 2.5, size: 3, sigma: 1 }),
    ],
    [
      "layer 2, conv c: an input of 3×6×6 is too small: its output would be 4×-2×-2",
      withLayer(1, { kind: "conv", name: "c", filters: 4, size: 9, sigma: 1 }),
    ],
    ["layer 4: residual r: body is undefined, must be a list of layers", withLayer(3, { kind: "residual", name: "r" })],
    [
      "layer 6: concat c: the branches are an Array, must be an array of at least one",
      withLayer(5, { kind: "concat", name: "c" }),
    ],
    [
      "layer 6: concat c: branch1 is 3, must be a list of layers",
      withLayer(5, { kind: "concat", name: "c", branch1: 3 }),
    ],
    [
      'layer 6, concat c: there is no option "branch3"; did you mean "branch1"?',
      withLayer(5, { kind: "concat", name: "c", branch1: [], branch3: [] }),
    ],
    [
      "layer 6, concat c: the branches' outputs are 5×3×3, 5×1×1: must be of one height and width",
      withLayer(5, { kind: "concat", name: "c", branch1: [], branch2: [{ kind: "global-average-pool" }] }),
    ],
    ["layer 4, body: layer 1: 3: must be a layer", withLayer(3, { kind: "residual", name: "r", body: [3] })],
    [
      "layer 4, residual r: the body's output is 4×3×3, the shortcut's 4×6×6: must be the same",
      withLayer(3, { kind: "residual", name: "r", body: [{ kind: "max-pool", window: 3, stride: 2 }], shortcut: [] }),
    ],
    [
      "conv velocity.x: a checkpoint keeps velocity.x.weight for itself",
      withLayer(1, { kind: "conv", name: "velocity.x", filters: 4, size: 1, sigma: 1 }),
    ],
    [
      "two layers have a conv1.weight: give each layer its own name",
      withLayer(2, { kind: "conv", name: "conv1", filters: 4, size: 1, sigma: 1 }),
    ],
    [
      "its output is 5×1×1: must have one number for each of the 2 classes",
      withLayer(json.layers.length - 1, { kind: "fc", name: "fc", outputs: 5, sigma: 1 }),
    ],
    [
      "conv conv1: conv1.weight: shape 4 × 1.5 × 3 × 3: dimensions must be whole numbers above 0",
      withLayer(1, { kind: "conv", name: "conv1", filters: 4, size: 3, groups: 2, pad: 1, sigma: 1 }),
    ],
  ];
  test.each(cases)("%s", (message, network) => {
    expect(() => networkFromJson(network, "")).toThrow(message);
    expect(() => networkFromJson(network, "mine.json")).toThrow(/^mine\.json/);
  });

  test("blocks in blocks without end", () => {
    let layer: unknown = { kind: "relu" };
    for (let i = 0; i < 100; i++) layer = { kind: "residual", name: "", body: [layer] };
    expect(() => networkFromJson(withLayer(2, layer), "")).toThrow("more than 16 deep");
  });

  test("layers that this program doesn't know, or that depend on the classes in other ways", () => {
    const own = { ...relu(), kind: "mine" };
    expect(() => defineNetwork({ crop: 6, layers: (n) => [own, fc("fc", n, START)] })).toThrow(
      /mine is not a layer of this/,
    );
    expect(() => defineNetwork({ crop: 6, layers: (n) => [fc("a", 2 * n, START), fc("b", n, START)] })).toThrow(
      "4 for 2 classes and 6 for 3",
    );
  });

  test("an op that can't take what comes", () => {
    const layers = (n: number) => [fc("a", 8, START), conv("b", n, 1, START)];
    expect(() => defineNetwork({ crop: 6, layers }, "x")).toThrow(/^x: conv b: conv2d: /);
  });
});

describe("weights say which network they are of", () => {
  test("one of this program's, by name and as JSON", () => {
    for (const network of networks) expect(networkIn(networkMetadata(network), "")).toBe(network);
    expect(networkIn({ network: "small" }, "").name).toBe("small");
    expect(() => networkIn({ network: "larger" }, "")).toThrow(/no model is called "larger"/);
  });

  test("another, as JSON alone", () => {
    const read = networkIn(networkMetadata(tiny), "");
    expect(factsOf(read, 3)).toEqual(factsOf(tiny, 3));
    expect(() => networkIn({ ...networkMetadata(tiny), network: "small" }, "x")).toThrow(/x: .*small.*tiny/);
    expect(() => networkIn({ network: "tiny", definition: "{" }, "x")).toThrow("x: not JSON");
  });
});

describe("--model FILE", () => {
  const write = (name: string, text: string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
  };
  const layers = `[conv("c", 4, 3, { sigma: 0.1 }), [relu(), fc("fc", classes, { sigma: 0.1 })]]`;

  test("a function of the layers, in TypeScript", async () => {
    const path = write(
      "mine.ts",
      `export default ({ conv, relu, fc }: any) => ({ crop: 5, layers: (classes: number) => ${layers} });`,
    );
    const network = await openNetwork(path);
    expect(network).toMatchObject({ name: "mine", crop: 5 });
    expect(factsOf(network, 3).map(({ kind }) => kind)).toEqual(["conv", "relu", "fc"]);
  });

  test("JSON", async () => {
    const network = await openNetwork(write("other.json", JSON.stringify(networkToJson(tiny))));
    expect(networkToJson(network)).toEqual(networkToJson(tiny));
    const brief = { crop: 6, layers: [{ kind: "fc", name: "fc", outputs: "classes", sigma: 0.1 }] };
    expect((await openNetwork(write("brief.json", JSON.stringify(brief)))).name).toBe("brief");
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ["none.ts", "export const x = 1;", /none\.ts: it has no default export/],
    ["broken.ts", "export default (", /broken\.ts: /],
    ["throws.ts", `throw new Error("not today"); export default 1;`, /throws\.ts: not today$/],
    ["text.ts", `export default "small";`, /text\.ts: "small": must be a network/],
    ["bare.ts", `export default { crop: 5 };`, /bare\.ts: layers: must be a list of at least one layer/],
    ["half.json", "{", /half\.json: /],
    ["early.ts", `export default ({ fc }: any) => ({ crop: 5, layers: (n: number) => [fc("fc", n)] });`, /early\.ts: /],
  ];
  test.each(wrong)("%s", async (name, text, message) => {
    const failure = await openNetwork(write(name, text)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UsageError);
    expect((failure as Error).message).toMatch(message);
  });

  test("a file that is not there", async () => {
    expect(openNetwork("missing.ts")).rejects.toThrow("model missing.ts: no such file");
  });
});
