/** Loads image files and packs into batches: decoded on the host, then augmented on the device. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { drawViews } from "../../src/data/augmentation.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { decodeRecord } from "../../src/data/decode.ts";
import { createLoader, type Batch } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { augment, VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { poolOf } from "../../src/engine/pool.ts";
import { Tape } from "../../src/engine/tape.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import type { Bench, Opened } from "../bench.ts";
import { WrongResult } from "../check.ts";
import { wallClock } from "../measure.ts";
import { drawPhotos, HEIGHT, WIDTH } from "../photos.ts";
import { distinct, type Suite, type SuiteOptions } from "./suite.ts";

const DRAWN_PHOTOS = 2000;
const QUICK_PHOTOS = 100;
/** Images per batch; the loader prefetches several batches, so the size hardly matters. */
const BATCH = 50;

export const loader: Suite = {
  name: "loader",
  about: "loading image files and packs into batches, with augmentation on the device; packing; images per second",
  async run(bench, options) {
    const scratch = temporaryFolder("alexnet-loader-");
    const photos =
      options.data === undefined ? await drawPhotos(options.quick ? QUICK_PHOTOS : DRAWN_PHOTOS) : undefined;
    try {
      const data = photos?.folder ?? options.data!;
      const what = photos ? `drawn JPEGs of ${WIDTH} × ${HEIGHT}` : `images of ${data}`;
      await measure(bench, options, data, scratch.path, what);
    } finally {
      photos?.remove();
      scratch.remove();
    }
  },
};

async function measure(
  bench: Bench,
  { network }: SuiteOptions,
  data: string,
  scratch: string,
  what: string,
): Promise<void> {
  const side = network.record;
  const images = await batches(bench, network, data, (count) => `${count} ${what} to ${side}²`);
  for (const encoding of ["jpeg", "raw"] as const) {
    const out = join(scratch, encoding);
    const as = encoding === "jpeg" ? "JPEG" : "pixels";
    await bench.contest({
      ...{ suite: "loader", name: `${images.toLocaleString("en-US")} ${what} packed as ${as} of ${side}²` },
      work: { unit: "image", amount: images },
      entrants: [
        {
          ...{ contestant: "pack", device: bench.devices[0]!, clock: "wall" },
          open: async () => packing(data, out, side, encoding),
        },
      ],
    });
    await batches(bench, network, join(out, "0"), (count) => `${count} packed as ${as} of ${side}²`);
  }
}

/** Loads a set's batches, without and with augmentation on each device. @returns its number of images */
async function batches(
  bench: Bench,
  network: Network,
  data: string,
  nameOf: (images: string) => string,
): Promise<number> {
  const { train: dataset, val } = await openDataset(data, { holdOut: 0 });
  try {
    await bench.contest({
      ...{ suite: "loader", name: nameOf(dataset.length.toLocaleString("en-US")) },
      work: { unit: "image", amount: dataset.length },
      entrants: [
        {
          ...{ contestant: "decode", device: bench.devices[0]!, clock: "wall" },
          open: async () => epoch(dataset, network.record, async () => {}),
        },
        ...distinct(bench.devices).map((device) => ({
          ...{ contestant: "decode and augment", device, clock: "wall" as const },
          open: async () => openAugmented(dataset, network, device.backend),
        })),
      ],
    });
    return dataset.length;
  } finally {
    await dataset.close();
    await val.close();
  }
}

/** Packs repeatedly, each time into a new folder. The checked one is kept, to be read. */
function packing(data: string, out: string, side: number, encoding: "jpeg" | "raw"): Opened {
  let number = 0;
  const once = (name: string) => pack({ data, out: join(out, name), side, encoding });
  return {
    run: wallClock(() => once(String(++number))),
    async check() {
      rmSync(out, { recursive: true, force: true });
      const { train, problems } = await once("0");
      if (problems.length > 0) throw new WrongResult(`${problems[0]!.name}: ${problems[0]!.problem}`);
      return `${train} images in the pack`;
    },
    async close() {
      for (let k = 1; k <= number; k++) rmSync(join(out, String(k)), { recursive: true, force: true });
    },
  };
}

/** A pass over the data set, without a cache. */
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
