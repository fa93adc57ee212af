/** From image files to batches: decoded by the host, and then cropped and shifted by the device. */
import { Tape } from "../../src/autograd/tape.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { poolOf } from "../../src/backends/pool.ts";
import { drawViews } from "../../src/data/augmentation.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { decodeRecord } from "../../src/data/decode.ts";
import { createLoader, type Batch } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import type { Network } from "../../src/model/networks.ts";
import { augment, VIEW_LENGTH } from "../../src/ops/augment.ts";
import { uploadMean } from "../../src/tasks/passes.ts";
import type { Bench, Opened } from "../bench.ts";
import { WrongResult } from "../check.ts";
import { wallClock } from "../measure.ts";
import { drawPhotos, SIDE } from "../photos.ts";
import { distinct, type Suite, type SuiteOptions } from "./suite.ts";

const DRAWN_PHOTOS = 500;
const QUICK_PHOTOS = 100;
/** Images a batch; the loader keeps several batches ahead, so that it hardly matters. */
const BATCH = 50;

export const loader: Suite = {
  name: "loader",
  about: "decoding image files into batches, and augmenting them on the device, images a second",
  async run(bench, options) {
    if (options.data !== undefined) return measure(bench, options, options.data);
    const photos = await drawPhotos(options.quick ? QUICK_PHOTOS : DRAWN_PHOTOS);
    try {
      await measure(bench, options, photos.folder, `drawn JPEGs of ${SIDE}²`);
    } finally {
      photos.remove();
    }
  },
};

async function measure(
  bench: Bench,
  { network }: SuiteOptions,
  path: string,
  what = `images of ${path}`,
): Promise<void> {
  const { train: dataset, val } = await openDataset(path, { holdOut: 0 });
  try {
    const side = network.record;
    await bench.contest({
      ...{ suite: "loader", name: `${dataset.length} ${what} to ${side}²` },
      work: { unit: "image", amount: dataset.length },
      entrants: [
        {
          ...{ contestant: "decode", device: bench.devices[0]!, clock: "wall" },
          open: async () => epoch(dataset, side, async () => {}),
        },
        ...distinct(bench.devices).map((device) => ({
          ...{ contestant: "decode and augment", device, clock: "wall" as const },
          open: async () => openAugmented(dataset, network, device.backend),
        })),
      ],
    });
  } finally {
    await dataset.close();
    await val.close();
  }
}

/** A pass over the data set, nothing kept from the last one. */
function epoch(dataset: Dataset, side: number, use: (batch: Batch) => Promise<void>): Opened {
  const once = async (look: (batch: Batch) => void = () => {}) => {
    const loader = createLoader(dataset, { batch: BATCH, recordSize: side });
    let images = 0;
    for await (const batch of loader) {
      await use(batch);
      look(batch);
      images += batch.valid;
    }
    if (images < dataset.length)
      throw new WrongResult(`${images} of ${dataset.length} images: ${loader.bad.join("; ")}`);
  };
  return {
    run: wallClock(() => once()),
    async check() {
      const record = new Uint8Array(side * side * 3);
      await decodeRecord(await dataset.read(0), side, record);
      await once(({ pixels, number }) => {
        if (number === 0 && record.some((value, i) => pixels[i] !== value))
          throw new WrongResult("the first image differs");
      });
      return "every image is there, the first is as decoded alone";
    },
    close: async () => {},
  };
}

function openAugmented(dataset: Dataset, { record: side, crop }: Network, backend: Backend): Opened {
  const mean = uploadMean(backend, side, new Float32Array(side * side * 3).fill(127.5));
  const settings = { record: side, size: crop, crop: true, mirror: true, colour: 0 };
  const opened = epoch(dataset, side, async ({ pixels, indices, position }) => {
    const tape = new Tape(backend, { record: false });
    const views = drawViews(settings, undefined, 0, 0, indices, position);
    const images = indices.length;
    augment(tape.input([images, side, side, 3], pixels), tape.input([images, VIEW_LENGTH], views), mean, crop);
    await backend.synchronize();
    tape.release();
  });
  return {
    ...opened,
    async close() {
      backend.free(mean.detach()!);
      poolOf(backend).trim();
    },
  };
}
