import { beforeAll, describe, expect, test } from "bun:test";
import { Tape } from "../../src/autograd/tape.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import { ShapeError } from "../../src/errors.ts";
import { augment, VIEW_LENGTH } from "../../src/ops/augment.ts";
import { Purpose, Random } from "../../src/random.ts";
import { describeBackends } from "../helpers/backends.ts";
import { expectClose, randomArray } from "../helpers/data.ts";

interface View {
  readonly top: number;
  readonly left: number;
  readonly mirror?: boolean;
  readonly scale?: number;
  readonly shift?: readonly [red: number, green: number, blue: number];
}

async function run(
  backend: Backend,
  { pixels, mean, side, crop, views }: Images & { crop: number; views: readonly View[] },
) {
  const tape = new Tape(backend);
  const numbers = views.flatMap(({ top, left, mirror, scale = 1, shift = [0, 0, 0] }) => {
    return [top, left, mirror ? 1 : 0, scale, ...shift, 0];
  });
  const x = augment(
    tape.input([views.length, side, side, 3], pixels),
    tape.input([views.length, VIEW_LENGTH], Float32Array.from(numbers)),
    tape.input([side, side, 3], mean),
    crop,
  );
  const result = { shape: x.shape, values: await x.read() };
  tape.release();
  return result;
}

interface Images {
  readonly pixels: Uint8Array;
  readonly mean: Float32Array;
  readonly side: number;
}

/** Pixels 3 · (S · row + column) + channel, image 1 ten more; a mean of 1. */
const counted: Images = {
  side: 3,
  pixels: Uint8Array.from({ length: 54 }, (_, i) => (i % 27) + (i < 27 ? 0 : 10)),
  mean: new Float32Array(27).fill(1),
};

function byHand(open: () => Promise<Backend>): void {
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  test("crop, mirror, mean, colour and scale", async () => {
    const { shape, values } = await run(backend, {
      ...counted,
      crop: 2,
      views: [
        { top: 1, left: 0 },
        { top: 0, left: 1, mirror: true, scale: 0.5, shift: [100, 200, 300] },
      ],
    });
    expect(shape).toEqual([3, 2, 2, 2]);
    // Image 0, red: pixels 9, 12, 18, 21 less 1. Image 1, red: (16, 13, 25, 22 − 1 + 100) / 2. Green and blue likewise.
    expect([...values]).toEqual(
      [0, 1, 2].flatMap((c) => [
        ...[8 + c, (115 + 101 * c) / 2, 11 + c, (112 + 101 * c) / 2],
        ...[17 + c, (124 + 101 * c) / 2, 20 + c, (121 + 101 * c) / 2],
      ]),
    );
  });
}

describe("augment by hand, plain loops", () => byHand(async () => openReference()));

describeBackends("augment", ({ open }) => {
  byHand(open);
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  for (const [side, crop, images] of [
    [1, 1, 1],
    [5, 5, 3],
    [7, 4, 1],
    [32, 24, 17],
  ] as const) {
    test(`${images} of ${crop} × ${crop} from ${side} × ${side}`, async () => {
      const random = new Random(side, Purpose.drawing);
      const data = {
        side,
        crop,
        pixels: Uint8Array.from({ length: images * side * side * 3 }, () => random.integer(256)),
        mean: randomArray([side, side, 3], 2).map((v) => 128 + 20 * v),
        views: Array.from({ length: images }, (_, n) => ({
          top: random.integer(side - crop + 1),
          left: random.integer(side - crop + 1),
          mirror: n % 2 === 0,
          scale: 1 / 1.1,
          shift: [random.normal(), random.normal(), random.normal()] as const,
        })),
      };
      // Three roundings.
      const [actual, expected] = [await run(backend, data), await run(openReference("f64"), data)];
      expectClose("x", actual.values, expected.values, 3e-7);
    });
  }
});

test("augment refuses shapes that don't fit", () => {
  const tape = new Tape(openReference());
  const pixels = tape.input([2, 4, 4, 3], new Uint8Array(96));
  const views = tape.input([2, VIEW_LENGTH], new Float32Array(2 * VIEW_LENGTH));
  const mean = tape.input([4, 4, 3], new Float32Array(48));
  expect(() => augment(pixels, views, mean, 5)).toThrow(ShapeError);
  expect(() => augment(pixels, views, mean, 5)).toThrow("pixels 2 × 4 × 4 × 3, views 2 × 8, mean 4 × 4 × 3, crop 5");
  expect(() => augment(pixels, mean, mean, 4)).toThrow("views 4 × 4 × 3");
  expect(() => augment(pixels, views, views, 4)).toThrow("mean 2 × 8");
});
