/** From decoded images on the device to the input of a network: crop, mirror, mean, colour. */
import type { Network } from "../../src/model/networks.ts";
import { drawViews } from "../../src/data/augmentation.ts";
import { augmentKernel, VIEW_LENGTH } from "../../src/ops/augment.ts";
import type { Piece } from "../bench.ts";
import { checkAll, requireFinite } from "../check.ts";
import { bytes, columnsOf, numbers } from "../data.ts";
import type { BenchDevice } from "../devices.ts";
import { loadKernel } from "../kernel_run.ts";
import { profileRepeats } from "../pass.ts";
import { distinct, type Suite } from "./suite.ts";

export const augment: Suite = {
  name: "augment",
  about: "crop, mirror image, mean image and colour noise, on the device",
  async run(bench, { network, batches }) {
    for (const images of batches) await bench.contest(piece(network, images, distinct(bench.devices)));
  },
};

/** Of each image 3 · crop² bytes are read and as many numbers written. */
function piece({ record: side, crop }: Network, images: number, devices: readonly BenchDevice[]): Piece {
  const size = 3 * crop * crop * images;
  return {
    ...{ suite: "augment", name: `${side}² to ${crop}², batch ${images}`, work: { unit: "byte", amount: 5 * size } },
    entrants: devices.map((device) => ({
      ...{ contestant: "augment", device, clock: "device" },
      async open() {
        const { backend } = device;
        const pixels = bytes(images * side * side * 3, 1);
        const mean = numbers(side * side * 3, 2).map((value) => 120 + 20 * value);
        const indices = Uint32Array.from({ length: images }, (_, n) => n);
        const settings = { record: side, size: crop, crop: true, mirror: true, colour: 0 };
        const views = drawViews(settings, undefined, 0, 0, indices, 0);
        const uniforms = { images, side, crop };
        const loaded = loadKernel(backend, augmentKernel, { pixels, views, mean }, size, uniforms);
        return {
          run: async (repeats) => (await profileRepeats(backend, () => loaded.queue(), repeats)).samples,
          async check() {
            const found = (await loaded.compute()) as Float32Array;
            requireFinite(found);
            const last = images - 1;
            const expected = new Float64Array(3 * crop * crop);
            augmentKernel.reference(
              {
                pixels: pixels.subarray(last * side * side * 3),
                views: views.subarray(last * VIEW_LENGTH),
                mean,
                x: expected,
              },
              { ...uniforms, images: 1 },
            );
            return checkAll(
              columnsOf(found, images, [last]),
              expected,
              "all of an image by the plain loop in float64, the rest finite",
            );
          },
          close: async () => loaded.free(),
        };
      },
    })),
  };
}
