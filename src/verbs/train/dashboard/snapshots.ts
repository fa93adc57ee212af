/** Pictures of a running training: the first layer's filters, and augmented images. */
import { drawViews, centreView } from "../../../data/augmentation.ts";
import { decodeRecord } from "../../../data/decode.ts";
import { firstConvolution } from "../../../net/model.ts";
import { colourAt } from "../../../net/schedule.ts";
import { filterGrid, mosaic } from "../../../pictures/filters.ts";
import { dataUrl, fit } from "../../../pictures/raster.ts";
import type { Session } from "../../../training/session.ts";
import { plural } from "../../../words.ts";
import { seen } from "../../shared/seen.ts";

export interface Picture {
  /** A data: URL. */
  readonly source: string;
  readonly note: string;
}

/** Nothing is drawn unless a page has asked within this time. */
const WANTED_MS = 5000;
/** Maximum share of the training time spent drawing, and minimum interval between pictures. */
const SHARE = 0.01;
const FILTERS_MS = 2000;
/** Number of images, augmented versions of each, and their side in pixels. */
const [IMAGES, VERSIONS, SIDE] = [6, 3, 96];

export class Snapshots {
  filters: Picture | undefined;
  samples: Picture | undefined;
  /** Incremented with each new picture. */
  readonly versions = { filters: 0, samples: 0 };
  readonly #now: () => number;
  #wantedAt = -Infinity;
  #nextAt = -Infinity;
  /** The epoch of the samples. */
  #sampled: number | undefined;

  /** @param now the time, in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A page has asked. */
  wanted(): void {
    this.#wantedAt = this.#now();
  }

  /** Redraws what is out of date, if a page is open. */
  async take(session: Session): Promise<void> {
    const start = this.#now();
    if (start - this.#wantedAt > WANTED_MS || start < this.#nextAt) return;
    // Set first, so that a failure is not retried at every step.
    this.#nextAt = start + FILTERS_MS;
    await this.#drawFilters(session);
    if (this.#sampled !== session.state.epoch) await this.#drawSamples(session);
    const end = this.#now();
    this.#nextAt = Math.max(this.#nextAt, end + (end - start) / SHARE);
  }

  async #drawFilters({ model, state }: Session): Promise<void> {
    const first = firstConvolution(model.layers);
    const [weights] = model.parameters;
    if (!first || !weights) return;
    const raster = filterGrid((await weights.read()) as Float32Array, weights.shape);
    this.filters = { source: await dataUrl(raster), note: `${first.layer.name} after ${plural(state.step, "step")}` };
    this.versions.filters++;
  }

  async #drawSamples({ train, model, deviceMean, config, state }: Session): Promise<void> {
    this.#sampled = state.epoch;
    const { record, resize, crop: size } = model.network;
    const { dataset } = train;
    const count = Math.min(IMAGES, dataset.length);
    const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * dataset.length) / count));
    const pixels = new Uint8Array(count * record * record * 3);
    for (const [n, index] of indices.entries()) {
      const own = pixels.subarray(n * record * record * 3, (n + 1) * record * record * 3);
      await decodeRecord(await dataset.read(index), record, own, resize);
    }
    const { augmentation, schedule, seed } = config;
    const colour = colourAt(schedule, state.epoch) ? augmentation.colour : 0;
    const options = { ...augmentation, colour, record, size };
    const rows = [await seen(deviceMean, pixels, centreView(count, record, size), size)];
    for (let k = 0; k < VERSIONS; k++) {
      const views = drawViews(options, state.axes, seed, state.epoch + k, indices, 0);
      rows.push(await seen(deviceMean, pixels, views, size));
    }
    const cells = await Promise.all(rows.flat().map((raster) => fit(raster, SIDE, SIDE)));
    this.samples = { source: await dataUrl(mosaic(cells, count, 4)), note: "" };
    this.versions.samples++;
  }
}
