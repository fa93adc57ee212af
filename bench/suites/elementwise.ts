/** Memory-bound layers: pooling, normalisation and elementwise operations. */
import type { HostArray } from "../../src/engine/backend.ts";
import { sgd as sgdOp } from "../../src/engine/ops/sgd.ts";
import { Tensor } from "../../src/engine/tensor.ts";
import type { Bench, Piece } from "../bench.ts";
import { checkAll } from "../check.ts";
import { numbers } from "../data.ts";
import type { BenchDevice } from "../devices.ts";
import { layerPiece, namedLayers } from "../layer_piece.ts";
import { profileRepeats } from "../pass.ts";
import { distinct, type Suite, type SuiteOptions } from "./suite.ts";

export const pool: Suite = {
  name: "pool",
  about: "max- and average-pooling, forward and backward",
  run: (bench, options) => layersOf(bench, options, "pool", ["max-pool", "average-pool"]),
};

export const lrn: Suite = {
  name: "lrn",
  about: "response normalisation across maps and inside them, forward and backward",
  run: (bench, options) => layersOf(bench, options, "lrn", ["lrn", "map-norm"]),
};

export const pointwise: Suite = {
  name: "pointwise",
  about: "ReLU, tanh, dropout, bias gradients, the weight update",
  async run(bench, options) {
    await layersOf(bench, options, "pointwise", ["relu", "tanh", "dropout"]);
    const devices = distinct(bench.devices);
    const layers = namedLayers(options.network).filter(({ parameters }) => parameters.length > 0);
    for (const images of options.batches) {
      for (const layer of some(layers, options)) {
        await bench.contest(layerPiece("pointwise", layer, "bias gradient", images, devices));
      }
    }
    await bench.contest(update(options.quick ? 2 ** 22 : 2 ** 24, devices));
  },
};

async function layersOf(bench: Bench, options: SuiteOptions, suite: string, kinds: readonly string[]): Promise<void> {
  const layers = namedLayers(options.network).filter(({ layer }) => kinds.includes(layer.kind));
  for (const images of options.batches) {
    for (const layer of some(layers, options)) {
      for (const pass of ["forward", "input gradient"] as const) {
        await bench.contest(layerPiece(suite, layer, pass, images, distinct(bench.devices)));
      }
    }
  }
}

/** The tour uses only the first layer of each kind. */
function some<T extends { layer: { kind: string } }>(layers: readonly T[], { quick }: SuiteOptions): readonly T[] {
  return quick
    ? layers.filter((one, i) => layers.findIndex((other) => other.layer.kind === one.layer.kind) === i)
    : layers;
}

const SETTINGS = { rate: 0.01, momentum: 0.9, decay: 0.0005 };

/** w, v and dw are read, w and v written: 20 bytes per weight. */
function update(weights: number, devices: readonly BenchDevice[]): Piece {
  return {
    ...{ suite: "pointwise", name: `update of ${weights} weights`, work: { unit: "byte", amount: 20 * weights } },
    entrants: devices.map((device) => ({
      ...{ contestant: "sgd", device, clock: "device" },
      async open() {
        const { backend } = device;
        const values = [1, 2, 3].map((seed) => numbers(weights, seed));
        const buffers = values.map(() => backend.allocate("f32", weights));
        const [w, v, dw] = buffers.map((buffer) => new Tensor(backend, [weights], buffer)) as [Tensor, Tensor, Tensor];
        const fill = () => buffers.forEach((buffer, i) => backend.write(buffer, values[i]!));
        const queue = () => sgdOp(w, v, dw, SETTINGS);
        fill();
        return {
          run: async (repeats) => (await profileRepeats(backend, queue, repeats)).samples,
          async check() {
            queue();
            const found = await w.read();
            // Reset: after many steps the weights would diverge.
            fill();
            return checkAll(found, updated(values), "all of it in float64");
          },
          close: async () => buffers.forEach((buffer) => backend.free(buffer)),
        };
      },
    })),
  };
}

function updated([w, v, dw]: readonly Float32Array[]): HostArray {
  const { rate, momentum, decay } = SETTINGS;
  return Float64Array.from(w!, (value, i) => value + momentum * v![i]! - decay * rate * value - rate * dw![i]!);
}
