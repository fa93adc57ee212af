/** Layers that are computed together: which, and that nothing but memory and time changes. */
import { expect, test } from "bun:test";
import type { Backend } from "../../src/engine/backend.ts";
import { softmaxCrossEntropy } from "../../src/engine/ops/softmax_cross_entropy.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { batchNorm, conv, fc, gelu, lrn, maxPool, relu, relu6, residual } from "../../src/net/layers/index.ts";
import { fuse } from "../../src/net/later/fuse.ts";
import { Model, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { describeBackends } from "../support/backends.ts";
import { expectClose, randomArray } from "../support/data.ts";

const START = { sigma: 0.3 } as const;
const NO_BIAS = { ...START, bias: false } as const;
const network: Network = {
  ...findNetwork("small"),
  ...{ name: "fused", crop: 6, record: 6, classes: 3 },
  layers: (classes) => [
    [conv("conv1", 4, 3, { pad: 1, ...START }), relu(), lrn({ n: 5, k: 2, alpha: 0.1, beta: 0.75 }), maxPool(3, 1)],
    [conv("conv2", 4, 3, { pad: 1, groups: 4, ...NO_BIAS }), batchNorm("norm2"), relu6()],
    residual("block", [conv("conv3", 4, 3, { pad: 1, ...START }), batchNorm("norm3")]),
    [relu(), conv("conv4", 5, 1, START), batchNorm("norm4"), gelu(), fc("fc", classes, START)],
  ],
};
const SHAPE = [3, 6, 6, 4];

function modelOn(backend: Backend): Model {
  const model = new Model(network, backend);
  model.initialise(5);
  // Means near 0 and variances near 1, so that something passes the activation functions.
  model.state.forEach((statistic, i) =>
    backend.write(
      statistic.buffer,
      randomArray(statistic.shape, i).map((v) => (i % 2) + v / 4),
    ),
  );
  return model;
}

test("which layers are computed together", () => {
  const titles = (folds: boolean) =>
    fuse(place(network), folds).map(({ placed, norm, activation, maxPool, count }) =>
      [placed.layer.kind, norm && "norm", activation, maxPool && "max-pool", count].filter(Boolean).join(" "),
    );
  const [first, last] = [["conv relu 2", "lrn max-pool 2"], ["residual relu 2"]];
  expect(titles(true)).toEqual([...first, "conv norm relu6 3", ...last, "conv norm 2", "gelu 1", "fc 1"]);
  expect(titles(false)).toEqual([
    ...[...first, "conv 1", "batch-norm relu6 2", ...last],
    ...["conv 1", "batch-norm 1", "gelu 1", "fc 1"],
  ]);
});

describeBackends("fused", ({ open }) => {
  test("in use as layer by layer, up to any layer", async () => {
    const backend = await open();
    const model = modelOn(backend);
    const tape = new Tape(backend, { record: false });
    const x = tape.input(SHAPE, randomArray(SHAPE, 1));
    for (const [i, output] of model.outputs(x).entries()) {
      expectClose(`layer ${i}`, await model.forward(x, undefined, i + 1).read(), await output.read(), 1e-5);
    }
    tape.release();
    model.free();
  });

  test("gradients in training and in use as layer by layer", async () => {
    const backend = await open();
    for (const training of [true, false]) {
      const [fused, plain] = await Promise.all(
        [true, false].map(async (isFused) => {
          const model = modelOn(backend);
          const tape = new Tape(backend);
          const x = tape.input(SHAPE, randomArray(SHAPE, 1));
          const pass = { training, dropoutKey: () => [0, 0] as const };
          const logits = isFused ? model.forward(x, pass) : model.outputs(x, pass).at(-1)!;
          tape.backward(softmaxCrossEntropy(logits, tape.input([4], Uint32Array.of(0, 1, 2, 1))).loss);
          const gradients = await Promise.all(model.parameters.map(({ grad }) => grad!.read()));
          tape.release();
          model.free();
          return gradients;
        }),
      );
      fused!.forEach((gradient, i) => expectClose(`parameter ${i}`, gradient, plain![i]!, 1e-5));
    }
  });
});

test("a model that has learnt since is folded anew", async () => {
  const backend = openReference();
  const model = modelOn(backend);
  const logits = async () => {
    const tape = new Tape(backend, { record: false });
    const values = await model.forward(tape.input(SHAPE, randomArray(SHAPE, 1))).read();
    tape.release();
    return values;
  };
  const before = await logits();
  backend.write(model.state[0]!.buffer, new Float32Array(4).fill(2));
  const [after, parameter] = [await logits(), model.parameters.find(({ name }) => name === "norm2.weight")!];
  backend.write(parameter.buffer, new Float32Array(4).fill(-1));
  expect(after).not.toEqual(before);
  expect(await logits()).not.toEqual(after);
});
