/** Occlusion sensitivity: how the probability of a class drops as a square covers each part of the image in turn. */
import { centreView } from "../data/augmentation.ts";
import { VIEW, VIEW_LENGTH } from "../engine/ops/augment.ts";
import { probabilities } from "./forward.ts";
import type { Member } from "./member.ts";

/** Width of the square as a share of the image's: at 224 pixels about that of Zeiler & Fergus (2013, §4.2). */
const SQUARE = 1 / 5;
/** Positions along each side; fewer for images with fewer pixels. */
const PLACES = 24;
const BATCH = 32;

interface Occlusion {
  /** Side of the square in pixels of the crop; at the border it lies partly outside. */
  readonly square: number;
  /** Number of positions along each side. */
  readonly side: number;
  /** Side × side, row by row: the probability of the class without the square minus that with it. */
  readonly losses: Float32Array;
}

/**
 * Covers each position of the centre crop in turn with the mean image, which is zero to the network.
 * @param record S × S × 3 bytes
 * @param label the class whose probability is measured
 * @param before its probability with nothing covered
 */
export async function occlude(
  { model, mean, temperature }: Member,
  record: Uint8Array,
  label: number,
  before: number,
  progress: (done: number, total: number) => void = () => {},
): Promise<Occlusion> {
  const { crop, record: recordSide } = model.network;
  const side = Math.min(PLACES, crop);
  const square = Math.max(1, Math.round(SQUARE * crop));
  const total = side * side;
  const losses = new Float32Array(total);
  for (let start = 0; start < total; start += BATCH) {
    const count = Math.min(BATCH, total - start);
    const views = centreView(count, recordSide, crop);
    const pixels = new Uint8Array(count * record.length);
    for (let n = 0; n < count; n++) {
      const [row, column] = [Math.floor((start + n) / side), (start + n) % side];
      const [top, bottom] = covered(row, side, crop, square);
      const [left, right] = covered(column, side, crop, square);
      const view = views.subarray(n * VIEW_LENGTH, (n + 1) * VIEW_LENGTH);
      view.set([top, left, bottom, right], VIEW.erase);
      view[VIEW.extended] = 1;
      pixels.set(record, n * record.length);
    }
    const p = await probabilities(model, mean, pixels, [views], temperature);
    for (let n = 0; n < count; n++) losses[start + n] = before - p[label * count + n]!;
    progress(start + count, total);
  }
  return { square, side, losses };
}

/** The range of rows, or columns, that the square covers at a position. */
function covered(place: number, side: number, crop: number, square: number): [from: number, to: number] {
  const from = Math.round(((place + 0.5) * crop) / side - square / 2);
  return [Math.max(0, from), Math.min(crop, from + square)];
}
