/** A NaN anywhere in a network reaches the loss, which is what a training looks at. */
import { test, expect } from "bun:test";
import { softmaxCrossEntropy } from "../../src/engine/ops/softmax_cross_entropy.ts";
import { Tape } from "../../src/engine/tape.ts";
import type { Pass } from "../../src/net/layer.ts";
import {
  averagePool,
  concat,
  conv,
  dropout,
  fc,
  globalAveragePool,
  local,
  lrn,
  mapNorm,
  maxPool,
  relu,
  tanh,
} from "../../src/net/layers/index.ts";
import { Model } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { describeBackends } from "../support/backends.ts";
import { randomArray } from "../support/data.ts";

const norm = { k: 2, alpha: 0.1, beta: 0.75 };
const start = { sigma: 0.1 };

/** One layer of each kind; what stands before a dropout can be lost by it. */
const network: Network = {
  ...findNetwork("small"),
  crop: 16,
  layers: (classes) => [
    ...[conv("conv1", 16, 3, { pad: 1, ...start }), relu(), lrn({ n: 3, ...norm }), maxPool(3, 2)],
    ...[conv("conv2", 16, 3, { pad: 1, ...start }), tanh(), mapNorm({ size: 3, ...norm }), averagePool(3, 2)],
    ...[local("local3", 4, 3, start), relu(), maxPool(2, 2)],
    concat("maps", [[globalAveragePool()], [averagePool(1, 1)]]),
    ...[fc("fc4", 32, start), relu(), dropout(), fc("fc5", 32, start), tanh(), dropout()],
    fc("fc6", classes, start),
  ],
};

// Winograd's form is taken from 16 images on.
const IMAGES = 16;
const SHAPE = [3, network.crop, network.crop, IMAGES];
const training: Pass = { training: true, dropoutKey: (index) => [1, index] };

describeBackends("a NaN", ({ open }) => {
  test("in a weight, a bias or a pixel makes the loss NaN", async () => {
    const backend = await open();
    const model = new Model(network, backend, 3);
    model.initialise(0);
    const pixels = randomArray(SHAPE, 1);
    const lossOf = async (x: Float32Array) => {
      const tape = new Tape(backend);
      const labels = tape.input([IMAGES], new Uint32Array(IMAGES));
      const loss = (await softmaxCrossEntropy(model.forward(tape.input(SHAPE, x), training), labels).loss.read())[0]!;
      tape.release();
      return loss;
    };
    expect(await lossOf(pixels)).not.toBeNaN();
    expect(await lossOf(pixels.with(100, NaN))).toBeNaN();
    for (const { name, buffer, size } of model.parameters) {
      for (const place of [0, size - 1]) {
        const before = (await backend.read(buffer, place, 1)) as Float32Array;
        backend.write(buffer, Float32Array.of(NaN), place);
        expect(await lossOf(pixels), `${name}[${place}]`).toBeNaN();
        backend.write(buffer, before, place);
      }
    }
    expect(await lossOf(pixels)).not.toBeNaN();
    model.free();
  });
});
