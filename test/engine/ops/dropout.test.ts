import { describe, expect, test } from "bun:test";
import { dropout } from "../../../src/engine/ops/dropout.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape, type TapeOptions } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { Purpose, streamKey, threefry } from "../../../src/random.ts";
import { testOp, type OpCase } from "../../support/gradcheck.ts";

const key = streamKey(7, Purpose.dropout, 3, 1);

const cases: OpCase[] = [
  { title: "5 × 7", inputs: { x: [5, 7] }, op: ({ x }) => dropout(x!, { keep: 0.5, key }) },
  { title: "keep 0.7", inputs: { x: [131, 1] }, op: ({ x }) => dropout(x!, { keep: 0.7, key }) },
  { title: "keep 0.01", inputs: { x: [1, 1021] }, op: ({ x }) => dropout(x!, { keep: 0.01, key }) },
];

// One multiplication; the mask is the same on every backend, bit for bit.
testOp("dropout", cases, 2e-7);

async function masked(size: number, keep: number, words: readonly [number, number]): Promise<number[]> {
  const tape = new Tape(openReference());
  const y = await dropout(tape.input([size], new Float32Array(size).fill(1)), { keep, key: words }).read();
  return [...y];
}

describe("the mask", () => {
  test("keeps a share of `keep`, divided by it", async () => {
    const y = await masked(100_000, 0.25, key);
    expect(new Set(y)).toEqual(new Set([0, 4]));
    // 100,000 draws: the standard deviation of the share is 0.0014.
    expect(Math.abs(y.filter((v) => v > 0).length / 100_000 - 0.25)).toBeLessThan(0.006);
  });

  test("is a function of the key and the element's index", async () => {
    const y = await masked(64, 0.5, key);
    expect(y).toEqual(Array.from(y, (_, i) => (threefry(key[0], key[1], i, 0)[0] < 2 ** 31 ? 2 : 0)));
    expect(await masked(64, 0.5, streamKey(7, Purpose.dropout, 4, 1))).not.toEqual(y);
    expect(await masked(64, 0.5, streamKey(7, Purpose.dropout, 3, 0))).not.toEqual(y);
  });
});

test("dropout refuses a probability outside of (0, 1)", () => {
  const x = new Tape(openReference()).input([2], new Float32Array(2));
  for (const keep of [0, 1, -0.5, 2, NaN]) {
    expect(() => dropout(x, { keep, key })).toThrow(ShapeError);
    expect(() => dropout(x, { keep, key })).toThrow(`keep is ${keep}`);
  }
});

test("a part of a batch has its part of the mask", async () => {
  const [rows, whole] = [7, 10];
  const all = await masked([rows, whole], {});
  for (const [first, images] of [
    [0, 4],
    [4, 6],
  ] as const) {
    const part = await masked([rows, images], { part: { first, whole } });
    for (let row = 0; row < rows; row++) {
      const expected = all.slice(row * whole + first, row * whole + first + images);
      expect(part.slice(row * images, (row + 1) * images)).toEqual(expected);
    }
  }

  async function masked(shape: readonly [number, number], options: TapeOptions): Promise<number[]> {
    const tape = new Tape(openReference(), options);
    const ones = new Float32Array(shape[0] * shape[1]).fill(1);
    return [...(await dropout(tape.input(shape, ones), { keep: 0.5, key }).read())];
  }
});
