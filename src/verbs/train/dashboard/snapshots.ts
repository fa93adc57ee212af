/** Pictures of a running training: the first layer's filters, and augmented images. */
import { drawViews, centreView } from "../../../data/augmentation.ts";
import { decodeRecord } from "../../../data/decode.ts";
import { firstConvolution } from "../../../net/model.ts";
import { colourAt } from "../../../net/schedule.ts";
import { filterGrid, mosaic } from "../../../pictures/filters.ts";
import type { Raster } from "../../../pictures/pixels.ts";
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
/** Maximum share of the training time spent on each picture, and minimum interval between drawings of the filters. */
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
  #filtersAt = -Infinity;
  #samplesAt = -Infinity;
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

  /** After a step, redraws what is out of date, if a page is open. */
  async take(session: Session): Promise<void> {
    const now = this.#now();
    if (now - this.#wantedAt > WANTED_MS) return;
    if (now >= this.#filtersAt) await this.#drawFilters(session, `after ${plural(session.state.step, "step")}`);
    if (now >= this.#samplesAt && this.#sampled !== session.state.epoch) await this.#drawSamples(session);
  }

  /** After an epoch, draws the filters as they were saved. */
  async takeEpoch(session: Session): Promise<void> {
    if (this.#now() - this.#wantedAt > WANTED_MS) return;
    await this.#drawFilters(session, `after epoch ${session.state.epoch}`);
  }

  async #drawFilters({ model, config }: Session, when: string): Promise<void> {
    const first = firstConvolution(model.layers);
    const [parameter] = model.parameters;
    if (!first || !parameter) return;
    // Waiting for the device costs the training next to nothing.
    const weights = (await parameter.read()) as Float32Array;
    const start = this.#now();
    // Set first, so that a failure is not retried at every step.
    this.#filtersAt = start + FILTERS_MS;
    const { name } = first.layer;
    const note = config.freeze.includes(name) ? `${name}, frozen: they stay as they are` : `${name} ${when}`;
    this.filters = { source: await dataUrl(filterGrid(weights, parameter.shape)), note };
    this.versions.filters++;
    this.#filtersAt = this.#now() + Math.max(FILTERS_MS, (this.#now() - start) / SHARE);
  }

  async #drawSamples({ train, model, deviceMean, config, state }: Session): Promise<void> {
    const start = this.#now();
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
    const centres = await seen(deviceMean, pixels, centreView(count, record, size), size);
    const versions: Raster[][] = [];
    for (let k = 0; k < VERSIONS; k++) {
      const views = drawViews(options, state.axes, seed, state.epoch + k, indices, 0);
      versions.push(await seen(deviceMean, pixels, views, size));
    }
    const isAugmented = versions.flat().some((version, i) => !isSame(version, centres[i % count]!));
    const shown = isAugmented ? [centres, ...versions] : [centres];
    const cells = await Promise.all(shown.flat().map((raster) => fit(raster, SIDE, SIDE)));
    const note = isAugmented
      ? "top: the centre of each, as in validation; below: augmented, as in training"
      : "the centre of each; nothing is augmented";
    this.samples = { source: await dataUrl(mosaic(cells, count, 4)), note: `epoch ${state.epoch + 1}: ${note}` };
    this.versions.samples++;
    this.#samplesAt = this.#now() + (this.#now() - start) / SHARE;
  }
}

function isSame(a: Raster, b: Raster): boolean {
  return Buffer.compare(a.pixels, b.pixels) === 0;
}
