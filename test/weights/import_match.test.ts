/** Which network weights of others belong to, and which of a file's tensors they are: by names and shapes alone. */
import { describe, expect, test } from "bun:test";
import { CheckpointError, UsageError } from "../../src/errors.ts";
import { place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { findDictionaries } from "../../src/weights/import/dictionary.ts";
import { matchNetwork } from "../../src/weights/import/match.ts";
import { Unknown } from "../../src/weights/import/pickle.ts";
import type { ForeignLayer, ForeignTensor, WeightFile } from "../../src/weights/import/weight_file.ts";

const fileOf = (...dictionaries: WeightFile["dictionaries"]): WeightFile => ({
  ...{ path: "file", format: "Caffe", dictionaries, metadata: {}, close: async () => {} },
});
/** Without numbers. */
const tensor = (...shape: number[]): ForeignTensor => ({ shape, read: async () => new Float32Array(0) });
const tensorsOf = (network: string, classes: number, rename = (name: string) => name) => {
  const specs = place(findNetwork(network), classes).flatMap((placed) => placed.parameters);
  return new Map(specs.map(({ name, shape }) => [rename(name), tensor(...shape)]));
};
const shapes = (network: string, classes: number, layers?: readonly ForeignLayer[]): WeightFile => ({
  ...fileOf({ place: "", tensors: tensorsOf(network, classes) }),
  ...(layers && { layers }),
});

describe("which network", () => {
  const norm = (name: string, k = 1): ForeignLayer => ({
    kind: "lrn",
    name,
    lrn: { n: 5, k, alpha: 9.999999747378752e-5, beta: 0.75 },
  });
  const pool = (name: string): ForeignLayer => ({ kind: "pool", name });
  const bvlc = [norm("norm1"), pool("pool1"), norm("norm2"), pool("pool2"), pool("pool5")];

  test("by names and shapes, with any number of classes", () => {
    for (const name of ["alexnet-owt", "alexnet-one-gpu", "alexnet-2009", "cifar10-18pct", "cifar10-13pct", "small"]) {
      for (const classes of [2, 37]) {
        const match = matchNetwork(shapes(name, classes));
        expect([match.network.name, match.classes]).toEqual([name, classes]);
      }
    }
  });

  test("bvlc_alexnet by its normalisation, CaffeNet by none", () => {
    expect(matchNetwork(shapes("alexnet", 1000, bvlc)).network.name).toBe("caffe-alexnet");
    const paper = bvlc.map((layer) => (layer.lrn ? norm(layer.name, 2) : layer));
    expect(() => matchNetwork(shapes("alexnet", 1000, paper))).toThrow(/norm1 \(n 5, k 2/);
    const caffenet = [pool("pool1"), norm("norm1"), pool("pool2"), norm("norm2"), pool("pool5")];
    expect(() => matchNetwork(shapes("alexnet", 1000, caffenet))).toThrow(CheckpointError);
    expect(() => matchNetwork(shapes("alexnet", 1000, bvlc), findNetwork("alexnet-2012"))).toThrow(/but it has norm1/);
  });

  test("those of the same shapes are asked for", () => {
    const several = () => matchNetwork(shapes("alexnet", 1000));
    expect(several).toThrow(UsageError);
    expect(several).toThrow(/fits alexnet, alexnet-2012 and caffe-alexnet, .*: choose one with model/);
    expect(matchNetwork(shapes("alexnet", 1000), findNetwork("alexnet-2012")).network.name).toBe("alexnet-2012");
  });

  test("none: the first difference from the nearest", () => {
    const tensors = tensorsOf("alexnet-owt", 10);
    const file = fileOf({ place: "", tensors });
    tensors.set("features.6.bias", tensor(385));
    expect(() => matchNetwork(file)).toThrow(
      /don't fit any network .* nearest is alexnet-owt, where features.6.bias is 385 but features.6.bias should be 384$/,
    );
    tensors.set("features.6.bias", tensor(384));
    tensors.set("extra.weight", tensor(3));
    expect(() => matchNetwork(file)).toThrow(/extra.weight of 3 is one tensor too many$/);
    expect(() => matchNetwork(shapes("small", 10), findNetwork("alexnet"))).toThrow(
      /don't fit alexnet: conv1.weight is 16×3×5×5 but conv1.weight should be 96×3×11×11$/,
    );
    expect(() => matchNetwork(fileOf({ place: "", tensors: new Map() }))).toThrow(/there are no more tensors/);
  });
});

describe("which of the tensors", () => {
  const OWT = "alexnet-owt";
  const matched = (...dictionaries: WeightFile["dictionaries"]) => {
    const { network, place, others, beside } = matchNetwork(fileOf(...dictionaries));
    return { network: network.name, place, others, beside };
  };
  const whole = { network: OWT, place: "", others: [], beside: [] };

  test.each<readonly [string, (name: string) => string]>([
    ...["module.", "model.", "net.", "_orig_mod.", "backbone.", "module.model.", "a.b.c.", "1."].map(
      (prefix) => [`${prefix}features.0.weight`, (name: string) => prefix + name] as const,
    ),
    ["features.module.0.weight", (name) => name.replace("features.", "features.module.")],
    ["_wrapped.features.module.0.weight", (name) => `_wrapped.${name.replace("features.", "features.module.")}`],
    ["features.0.module.weight", (name) => name.replace(/\.(\w+)$/, ".module.$1")],
    ["net.features.0._orig_mod.weight", (name) => `net.${name.replace(/(features\.\d+)/, "$1._orig_mod")}`],
  ])("%s", (_, rename) => {
    const reversed = new Map([...tensorsOf(OWT, 5, rename)].reverse());
    expect(matched({ place: "", tensors: reversed })).toEqual(whole);
  });

  test("two tensors for one name are no match by names", () => {
    const tensors = new Map([...tensorsOf(OWT, 5, (name) => `net.${name}`)].reverse());
    tensors.delete("net.features.0.bias");
    tensors.set("net.features.module.0.weight", tensor(64, 3, 11, 11));
    expect(() => matched({ place: "", tensors })).toThrow(/don't fit any network/);
  });

  test("a loss beside the network is left out, a layer is not", () => {
    const tensors = tensorsOf(OWT, 5, (name) => `net.${name}`);
    tensors.set("loss.weight", tensor(5));
    tensors.set("scale", tensor(3));
    const found = { ...whole, place: "state_dict.net", beside: ["loss.weight", "scale"] };
    expect(matched({ place: "state_dict", tensors })).toEqual(found);
    tensors.set("head.weight", tensor(7, 5));
    expect(() => matched({ place: "state_dict", tensors })).toThrow(/its tensors in state_dict don't fit any network/);
    expect(() => matched({ place: "", tensors: tensorsOf(OWT, 5).set("head.weight", tensor(7, 5)) })).toThrow(
      /head.weight of 7×5 is one tensor too many$/,
    );
  });

  test("where none fits, the nearest of them", () => {
    const best = { place: "", tensors: new Map([["best_acc1", tensor()]]) };
    const other = { place: "state_dict", tensors: new Map([["stem.weight", tensor(33, 3, 7, 7)]]) };
    expect(() => matched(best, other)).toThrow(
      /its tensors in state_dict don't fit any network .* stem.weight is 33×3×7×7/,
    );
  });

  test("copies in one dictionary: the first of them", () => {
    const tensors = new Map([
      ...tensorsOf(OWT, 5, (name) => `student.${name}`),
      ...tensorsOf(OWT, 5, (name) => `teacher.module.${name}`),
    ]);
    expect(matched({ place: "", tensors })).toEqual({ ...whole, place: "student", others: ["teacher"] });
  });

  test("what has the names comes before what has the shapes alone", () => {
    let i = 0;
    const numbered = tensorsOf(OWT, 5, () => `p${i++}`);
    const found = { ...whole, place: "b" };
    expect(matched({ place: "a", tensors: numbered }, { place: "b", tensors: tensorsOf(OWT, 5) })).toEqual(found);
    expect(matched({ place: "a", tensors: numbered })).toEqual({ ...whole, place: "a" });
  });
});

describe("where dictionaries are found", () => {
  const weights = (...names: string[]) => new Map(names.map((name) => [name, tensor(1)]));
  const isTensor = (part: unknown): part is ForeignTensor =>
    typeof part === "object" && part !== null && "read" in part;
  const places = (value: unknown) => {
    const { dictionaries, object } = findDictionaries("file", value, isTensor);
    return [
      ...dictionaries.map(({ place, tensors }) => `${place}: ${[...tensors.keys()]}`),
      ...(object ? [object] : []),
    ];
  };
  const map = (object: object) => new Map<unknown, unknown>(Object.entries(object));

  test("weights under a usual name come first, averages last", () => {
    const file = map({
      model_ema: weights("a.w"),
      other: weights("a.w"),
      model: weights("a.w"),
      state_dict: weights("a.w", "a.b"),
      best: map({ ema: map({ shadow: weights("a.w") }) }),
      list: [3, weights("a.w")],
    });
    expect(places(file)).toEqual([
      ...["state_dict: a.w,a.b", "model: a.w", "other: a.w", "list.1: a.w", "model_ema: a.w", "best.ema.shadow: a.w"],
    ]);
  });

  test("an optimiser's numbered states are no layers", () => {
    const states = new Map([0, 1].map((i) => [i, weights("momentum_buffer")]));
    expect(places(map({ state: states }))).toEqual(["state.0: momentum_buffer", "state.1: momentum_buffer"]);
    expect(places(states)[0]).toBe(": 0.momentum_buffer,1.momentum_buffer");
  });

  test("an object where the weights should be", () => {
    const object = new Unknown("their.Net");
    const optimizer = map({ state: new Map([[0, weights("momentum_buffer")]]) });
    expect(places(map({ model: object, optimizer }))).toEqual(["optimizer.state.0: momentum_buffer", "their.Net"]);
    expect(places(map({ args: object, state_dict: weights("a.w") }))).toEqual(["state_dict: a.w"]);
    expect(() => places(map({ model: object, epoch: 3 }))).toThrow(/it contains their.Net, which is not a tensor/);
    // One that holds items is as good as a dictionary.
    object.set("a.w", tensor(1));
    expect(places(map({ model: object }))).toEqual(["model: a.w"]);
  });

  test("what holds itself, and what is deep, ends", () => {
    const file = map({ state_dict: weights("a.w") });
    file.set("again", file);
    let deep: unknown = weights("a.w");
    for (let i = 0; i < 100_000; i++) deep = [deep];
    file.set("deep", deep);
    expect(places(file)).toEqual(["state_dict: a.w"]);
  });
});
