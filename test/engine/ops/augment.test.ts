import { beforeAll, describe, expect, test } from "bun:test";
import { drawViews } from "../../../src/data/augmentation.ts";
import type { Backend } from "../../../src/engine/backend.ts";
import { augment, VIEW, VIEW_LENGTH } from "../../../src/engine/ops/augment.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { Purpose, Random } from "../../../src/random.ts";
import { describeBackends } from "../../support/backends.ts";
import { expectClose, randomArray } from "../../support/data.ts";

type Box = readonly [top: number, left: number, bottom: number, right: number];

interface View {
  readonly top: number;
  readonly left: number;
  readonly mirror?: boolean;
  readonly scale?: number;
  readonly shift?: readonly [red: number, green: number, blue: number];
  readonly extended?: Extension;
}

/** What a view has beyond a crop; what is not given does nothing. */
interface Extension {
  /** Height and width of the source box; those of the crop if not given. */
  readonly source?: readonly [height: number, width: number];
  readonly matrix?: readonly number[];
  readonly erase?: Box;
  readonly partner?: number;
  readonly share?: number;
  readonly cut?: Box;
}

const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** The numbers of a view. Those that must not be read are NaN. */
function row({ top, left, mirror, scale = 1, shift = [0, 0, 0], extended }: View, crop: number): Float32Array {
  const numbers = new Float32Array(VIEW_LENGTH).fill(NaN);
  numbers.set([top, left, mirror ? 1 : 0, scale, ...shift, extended ? 1 : 0]);
  if (!extended) return numbers;
  const { source = [crop, crop], matrix = IDENTITY, erase = [0, 0, 0, 0] } = extended;
  const { partner = NaN, share = 1, cut = [0, 0, 0, 0] } = extended;
  numbers.set([...source, ...matrix, ...erase, partner, share, ...cut], VIEW.height);
  return numbers;
}

interface Images {
  readonly pixels: Uint8Array;
  readonly mean: Float32Array;
  readonly side: number;
}

async function runRows(
  backend: Backend,
  { pixels, mean, side }: Images,
  crop: number,
  rows: Float32Array,
  seen?: number,
) {
  const images = rows.length / VIEW_LENGTH;
  const tape = new Tape(backend);
  const x = augment(
    tape.input([images, side, side, 3], pixels),
    tape.input([images, VIEW_LENGTH], rows),
    tape.input([side, side, 3], mean),
    crop,
    { seen },
  );
  const result = { shape: x.shape, values: Array.from(await x.read()) };
  tape.release();
  return result;
}

function run(backend: Backend, images: Images, crop: number, views: readonly View[], seen?: number) {
  const rows = Float32Array.from(views.flatMap((view) => [...row(view, crop)]));
  return runRows(backend, images, crop, rows, seen);
}

/** Pixels 3 · (S · row + column) + channel, image 1 ten more; a mean of 1. */
const counted: Images = {
  side: 3,
  pixels: Uint8Array.from({ length: 54 }, (_, i) => (i % 27) + (i < 27 ? 0 : 10)),
  mean: new Float32Array(27).fill(1),
};

/** One grey image of 4 × 4, 40 · row + 4 · column; the mean is half of it. */
const slope: Images = {
  side: 4,
  pixels: Uint8Array.from({ length: 48 }, (_, i) => slopeAt(Math.floor(i / 3))),
  mean: Float32Array.from({ length: 48 }, (_, i) => slopeAt(Math.floor(i / 3)) / 2),
};

function slopeAt(pixel: number): number {
  return 40 * Math.floor(pixel / 4) + 4 * (pixel % 4);
}

/** The same of each of three colours. */
const threeTimes = (values: readonly number[]) => [...values, ...values, ...values];

/** Two images of 2 × 2, one of 100 and one of 20; a mean of 0. */
const plain: Images = {
  side: 2,
  pixels: Uint8Array.from({ length: 24 }, (_, i) => (i < 12 ? 100 : 20)),
  mean: new Float32Array(12),
};
/** The same of each pixel of two images and three colours: first the one, then the other. */
const everywhere = (first: number, second: number) => Array.from({ length: 24 }, (_, i) => (i % 2 ? second : first));

function byHand(open: () => Promise<Backend>): void {
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  test("crop, mirror, mean, colour and scale", async () => {
    const views: View[] = [
      { top: 1, left: 0 },
      { top: 0, left: 1, mirror: true, scale: 0.5, shift: [100, 200, 300] },
    ];
    const { shape, values } = await run(backend, counted, 2, views);
    expect(shape).toEqual([3, 2, 2, 2]);
    // Image 0, red: pixels 9, 12, 18, 21 less 1. Image 1, red: (16, 13, 25, 22 − 1 + 100) / 2. Green and blue likewise.
    const expected = [0, 1, 2].flatMap((c) => [
      ...[8 + c, (115 + 101 * c) / 2, 11 + c, (112 + 101 * c) / 2],
      ...[17 + c, (124 + 101 * c) / 2, 20 + c, (121 + 101 * c) / 2],
    ]);
    expect(values).toEqual(expected);
    // An extended view that adds nothing gives the same bits.
    const extended = views.map((view) => ({ ...view, extended: {} }));
    expect((await run(backend, counted, 2, extended)).values).toEqual(expected);
  });

  test("a part of the image stretched over the crop, the mean at the same place", async () => {
    // Places 0 (clamped), 0.25, 0.75 and 1 (clamped) of rows 1 and 2, columns 2 and 3; less the mean, half remains.
    const rows = [40, 50, 70, 80];
    const columns = [8, 9, 11, 12];
    const view: View = { top: 1, left: 2, extended: { source: [2, 2] } };
    const stretched = rows.flatMap((y) => columns.map((x) => (y + x) / 2));
    expect((await run(backend, slope, 4, [view])).values).toEqual(threeTimes(stretched));
    const mirrored = rows.flatMap((y) => columns.toReversed().map((x) => (y + x) / 2));
    expect((await run(backend, slope, 4, [{ ...view, mirror: true }])).values).toEqual(threeTimes(mirrored));
    // 4 × 2 pixels over 2 × 2: between rows 0 and 1, and 2 and 3; columns as they are.
    const whole: View = { top: 0, left: 1, extended: { source: [4, 2] } };
    expect((await run(backend, slope, 2, [whole])).values).toEqual(threeTimes([12, 14, 52, 54]));
  });

  test("colours by a matrix, which the mean does not go through", async () => {
    const mean = Float32Array.from({ length: 27 }, (_, i) => i % 3);
    // Red of green, green of twice blue, blue of red and green.
    const matrix = [0, 1, 0, 0, 0, 2, 1, 1, 0];
    const view: View = { top: 2, left: 2, scale: 10, shift: [0.5, 0, 0], extended: { matrix } };
    // The last pixel is 24, 25, 26.
    const pixels = counted.pixels.subarray(0, 27);
    const { values } = await run(backend, { side: 3, pixels, mean }, 1, [view]);
    expect(values).toEqual([255, 510, 470]);
  });

  test("what is erased is 0, wherever the image is mirrored or scaled", async () => {
    const erase: Box = [0, 1, 2, 2];
    const view: View = { top: 0, left: 0, mirror: true, shift: [7, 7, 7], scale: 2, extended: { erase } };
    const { values } = await run(backend, { ...plain, pixels: plain.pixels.subarray(0, 12) }, 2, [view]);
    expect(values).toEqual(threeTimes([214, 0, 214, 0]));
  });

  test("mixup: shares of two images, each with its own view, the other's mixing aside", async () => {
    const views: View[] = [
      { top: 0, left: 0, extended: { partner: 1, share: 0.75 } },
      { top: 0, left: 0, scale: 2, extended: { partner: 0, share: 0.5 } },
    ];
    expect((await run(backend, plain, 2, views)).values).toEqual(everywhere(85, 70));
    // A partner that has no extended view.
    const usual: View = { top: 0, left: 0, scale: 2 };
    expect((await run(backend, plain, 2, [views[0]!, usual])).values).toEqual(everywhere(85, 40));
    // A partner that is not seen itself.
    const first = await run(backend, plain, 2, views, 1);
    expect(first).toEqual({ shape: [3, 2, 2, 1], values: new Array<number>(12).fill(85) });
  });

  test("cutmix: the other image in a box", async () => {
    const views: View[] = [
      { top: 0, left: 0, extended: { partner: 1, cut: [1, 0, 2, 2] } },
      { top: 0, left: 0, extended: { partner: 0, cut: [0, 1, 2, 2], erase: [0, 0, 1, 1] } },
    ];
    // Pixel by pixel, of each the first image and the second, whose first pixel is erased.
    expect((await run(backend, plain, 2, views)).values).toEqual(threeTimes([100, 0, 100, 100, 20, 20, 20, 100]));
  });
}

describe("augment by hand, plain loops", () => byHand(async () => openReference()));

/** The parts of augmentation, alone and together. */
const parts = {
  crop: { crop: true },
  "crop, mirror and colour": { crop: true, mirror: true, colour: 0.1 },
  "2012": { crop: true, mirror: true, colour: 0.1, sharedCrop: 4, divideBy: 1.1 },
  "resized crop": { resizedCrop: 0.08 },
  jitter: { jitter: 0.4 },
  erase: { erase: 1 },
  mixup: { mixup: 0.2 },
  cutmix: { cutmix: 1 },
  all: { mirror: true, colour: 0.1, divideBy: 1.1, resizedCrop: 0.08, jitter: 1, erase: 0.5, mixup: 1, cutmix: 1 },
};

const axes = {
  values: [14_000, 700, 200],
  vectors: [
    [0.6, 0.64, 0.48],
    [-0.8, 0.48, 0.36],
    [0, 0.6, -0.8],
  ],
};

describeBackends("augment", ({ open }) => {
  byHand(open);
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  for (const [side, crop, images] of [
    [1, 1, 1],
    [5, 5, 3],
    [7, 4, 1],
    [37, 31, 17],
  ] as const) {
    test.each(Object.entries(parts))(
      `${images} of ${crop} × ${crop} from ${side} × ${side}: %s`,
      async (_, options) => {
        const random = new Random(side, Purpose.drawing);
        const data = {
          side,
          pixels: Uint8Array.from({ length: images * side * side * 3 }, () => random.integer(256)),
          mean: randomArray([side, side, 3], 2).map((v) => 128 + 20 * v),
        };
        const settings = { record: side, size: crop, crop: false, mirror: false, colour: 0, ...options };
        const rows = drawViews(
          settings,
          axes,
          3,
          0,
          Uint32Array.from({ length: images }, (_, n) => n),
          0,
        );
        const actual = await runRows(backend, data, crop, rows);
        const expected = await runRows(openReference("f64"), data, crop, rows);
        // Of the largest number, which is about half of the full scale.
        expectClose("x", actual.values, expected.values, 2e-6);
      },
    );
  }
});

test("augment refuses shapes that don't fit", () => {
  const tape = new Tape(openReference());
  const pixels = tape.input([2, 4, 4, 3], new Uint8Array(96));
  const views = tape.input([2, VIEW_LENGTH], new Float32Array(2 * VIEW_LENGTH));
  const mean = tape.input([4, 4, 3], new Float32Array(48));
  expect(() => augment(pixels, views, mean, 5)).toThrow(ShapeError);
  expect(() => augment(pixels, views, mean, 5)).toThrow(
    "pixels 2 × 4 × 4 × 3, views 2 × 32, mean 4 × 4 × 3, crop 5, 2 seen",
  );
  expect(() => augment(pixels, mean, mean, 4)).toThrow("views 4 × 4 × 3");
  expect(() => augment(pixels, views, views, 4)).toThrow("mean 2 × 32");
  expect(() => augment(pixels, views, mean, 4, { seen: 3 })).toThrow("3 seen");
});
