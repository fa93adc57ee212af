/** From decoded images on the device to the input of a network. */
import { drawViews, type AugmentationOptions } from "../../src/data/augmentation.ts";
import { augmentKernel, VIEW } from "../../src/engine/ops/augment.ts";
import { MODERN_AUGMENTATION } from "../../src/net/recipe.ts";
import type { Piece } from "../bench.ts";
import { checkAll, requireFinite } from "../check.ts";
import { bytes, columnsOf, numbers } from "../data.ts";
import type { BenchDevice } from "../devices.ts";
import { loadKernel } from "../kernel_run.ts";
import { profileRepeats } from "../pass.ts";
import { distinct, type Suite } from "./suite.ts";

export const augment: Suite = {
  name: "augment",
  about: "pixels to a network's input, on the device: crops, or everything in --augment modern",
  async run(bench, { network, batches }) {
    const { record, crop: size } = network;
    const usual = { record, size, crop: true, mirror: true, colour: 0 };
    for (const images of batches) {
      await bench.contest(piece("crop and mirror", usual, images, distinct(bench.devices)));
      await bench.contest(piece("modern", { ...MODERN_AUGMENTATION, record, size }, images, distinct(bench.devices)));
    }
  },
};

/** Per image, 3 · crop² bytes are read and as many numbers are written. */
function piece(name: string, options: AugmentationOptions, images: number, devices: readonly BenchDevice[]): Piece {
  const { record: side, size: crop } = options;
  const size = 3 * crop * crop * images;
  return {
    ...{ suite: "augment", name: `${side}² to ${crop}², batch ${images}, ${name}` },
    work: { unit: "byte", amount: 5 * size },
    entrants: devices.map((device) => ({
      ...{ contestant: "augment", device, clock: "device" },
      async open() {
        const { backend } = device;
        const pixels = bytes(images * side * side * 3, 1);
        const mean = numbers(side * side * 3, 2).map((value) => 120 + 20 * value);
        const indices = Uint32Array.from({ length: images }, (_, n) => n);
        const views = drawViews(options, undefined, 0, 0, indices, 0);
        const uniforms = { images, side, crop };
        const loaded = loadKernel(backend, augmentKernel, { pixels, views, mean }, size, uniforms);
        return {
          run: async (repeats) => (await profileRepeats(backend, () => loaded.queue(), repeats)).samples,
          async check() {
            const found = (await loaded.compute()) as Float32Array;
            requireFinite(found);
            // If images are mixed, the last one is mixed with the first.
            const last = images - 1;
            const pair = {
              pixels: Uint8Array.from([...row(pixels, last, images), ...row(pixels, 0, images)]),
              views: Float32Array.from([...row(views, last, images), ...row(views, 0, images)]),
            };
            pair.views[VIEW.partner] = 1;
            const expected = new Float64Array(2 * 3 * crop * crop);
            augmentKernel.reference({ ...pair, mean, x: expected }, { ...uniforms, images: 2 });
            return checkAll(
              columnsOf(found, images, [last]),
              columnsOf(expected, 2, [0]),
              "all of an image by the plain loop in float64, the rest finite",
            );
          },
          close: async () => loaded.free(),
        };
      },
    })),
  };
}

/** Row n of `rows` rows. */
function row<A extends Uint8Array | Float32Array>(array: A, n: number, rows: number): A {
  const length = array.length / rows;
  return array.subarray(n * length, (n + 1) * length) as A;
}
