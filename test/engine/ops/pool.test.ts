import { describe, expect, test } from "bun:test";
import { globalAveragePool } from "../../../src/engine/ops/later/global_average_pool.ts";
import { averagePool, maxPool, type PoolOptions } from "../../../src/engine/ops/pool.ts";
import { positions } from "../../../src/engine/ops/shapes.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { distinctArray } from "../../support/data.ts";
import { seedGradient, testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

type Pool = typeof maxPool;

function poolCases(pool: Pool): OpCase[] {
  // Distinct numbers: at a tie the maximum has no derivative.
  const poolCase = (title: string, x: readonly number[], options: PoolOptions): OpCase => ({
    title: `${title}, window ${options.window}, stride ${options.stride}, rounded ${options.round ?? "up"}`,
    inputs: { x },
    op: ({ x }) => pool(x!, options),
    values: distinctArray,
  });
  return [
    poolCase("one pixel", [2, 1, 1, 3], { window: 1, stride: 1 }),
    poolCase("one window", [1, 3, 3, 2], { window: 3, stride: 2 }),
    poolCase("overlapping", [3, 7, 5, 3], { window: 3, stride: 2 }),
    poolCase("over the edge", [2, 6, 8, 1], { window: 3, stride: 2, round: "up" }),
    poolCase("edge left over", [2, 6, 8, 3], { window: 3, stride: 2, round: "down" }),
    poolCase("side by side", [1, 4, 5, 2], { window: 2, stride: 2 }),
    poolCase("gaps between windows", [1, 7, 8, 2], { window: 2, stride: 3 }),
    poolCase("every pixel in nine windows", [1, 5, 5, 2], { window: 3, stride: 1 }),
    poolCase("pad 1", [2, 6, 5, 3], { window: 3, stride: 2, round: "down", pad: 1 }),
    poolCase("pad 2, over the edge", [1, 5, 6, 2], { window: 5, stride: 3, pad: 2 }),
    poolCase("pad 1, a window larger than the image", [1, 1, 2, 2], { window: 3, stride: 2, pad: 1 }),
  ];
}

// Maxima are copied; each of their gradients is the sum of at most nine numbers, in another order.
testOp("maxPool", poolCases(maxPool), 5e-7);
testOp("averagePool", poolCases(averagePool), 1e-6);

testOp(
  "globalAveragePool",
  [
    [1, 1, 1, 1],
    [3, 7, 5, 1],
    [2, 3, 4, 5],
    [2, 2, 3, 37],
  ].map((x) => ({ title: x.join(" × "), inputs: { x }, op: ({ x }) => globalAveragePool(x!) })),
  1e-6,
);

const large = { inputs: { x: [5, 13, 13, 17] }, values: distinctArray };
testOnBackends(
  "pooling of larger maps",
  [
    { ...large, title: "maxPool", op: ({ x }) => maxPool(x!, { window: 3, stride: 2 }) },
    { ...large, title: "globalAveragePool", op: ({ x }) => globalAveragePool(x!) },
    { ...large, title: "averagePool", op: ({ x }) => averagePool(x!, { window: 3, stride: 2 }) },
    // Many ties: every backend must choose the same pixel.
    {
      ...large,
      title: "maxPool with ties",
      op: ({ x }) => maxPool(x!, { window: 3, stride: 2 }),
      values: (shape, seed) => distinctArray(shape, seed).map((v) => Math.max(0, Math.round(2 * v))),
    },
  ],
  1e-6,
);

async function poolRows(pool: Pool, rows: readonly (readonly number[])[], options: PoolOptions) {
  const tape = new Tape(openReference());
  const x = tape.input([1, rows.length, rows[0]!.length, 1], Float32Array.from(rows.flat()), { requiresGrad: true });
  const y = pool(x, options).keep();
  tape.backward(seedGradient(y, new Float32Array(y.size).fill(1)));
  return { shape: y.shape.slice(1, 3), y: [...(await y.read())], dx: [...(await x.grad!.read())] };
}

describe("by hand", () => {
  // prettier-ignore
  const rows = [
    [1, 2, 3, 4],
    [5, 9, 7, 8],
    [0, 2, 1, 6],
    [3, 4, 5, 2],
  ];

  test("maxPool, windows over the edge", async () => {
    expect(await poolRows(maxPool, rows, { window: 3, stride: 2 })).toEqual({
      shape: [2, 2],
      y: [9, 8, 5, 6],
      dx: [0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0],
    });
  });

  test("averagePool divides by the pixels inside the image", async () => {
    const { y } = await poolRows(averagePool, rows, { window: 3, stride: 2 });
    expect(y).toEqual([30 / 9, 29 / 6, 15 / 6, 14 / 4].map(Math.fround));
  });

  test("pixels of the padding never win, and don't count", async () => {
    const negative = rows.map((row) => row.map((value) => -1 - value));
    const padded = { window: 3, stride: 2, round: "down", pad: 1 } as const;
    expect((await poolRows(maxPool, negative, padded)).y).toEqual([-2, -3, -1, -2]);
    expect((await poolRows(averagePool, rows, padded)).y).toEqual([17 / 4, 33 / 6, 23 / 6, 44 / 9].map(Math.fround));
  });

  test("at a tie the first pixel in row-major order gets the gradient", async () => {
    const ties = [
      [0, 7, 7],
      [7, 7, 0],
      [7, 0, 7],
    ];
    expect(await poolRows(maxPool, ties, { window: 2, stride: 1 })).toEqual({
      shape: [2, 2],
      y: [7, 7, 7, 7],
      dx: [0, 2, 0, 1, 1, 0, 0, 0, 0],
    });
  });

  test("maxPool of negative numbers", async () => {
    const { y } = await poolRows(maxPool, [[-3, -2], [-5, -4]], { window: 3 - 1, stride: 2 }); // prettier-ignore
    expect(y).toEqual([-2]);
  });
});

test("positions: the numbers of the paper and of the CIFAR-10 nets", () => {
  expect(positions(227, 11, 4, 0, "down")).toBe(55);
  for (const round of ["up", "down"] as const) {
    expect([55, 27, 13].map((side) => positions(side, 3, 2, 0, round))).toEqual([27, 13, 6]);
  }
  expect([32, 16, 8].map((side) => positions(side, 3, 2, 0, "up"))).toEqual([16, 8, 4]);
  expect([32, 16, 8].map((side) => positions(side, 3, 2, 0, "down"))).toEqual([15, 7, 3]);
  // The third window of stride 3 would start at pixel 6 of 6: outside.
  expect(positions(6, 1, 3, 0, "up")).toBe(2);
});

test("globalAveragePool is an averagePool of everything, and takes images only", async () => {
  const tape = new Tape(openReference("f64"));
  const x = tape.input([3, 5, 5, 2], distinctArray([3, 5, 5, 2], 1));
  const [y, expected] = [globalAveragePool(x), averagePool(x, { window: 5, stride: 1 })];
  expect(y.shape).toEqual([3, 1, 1, 2]);
  const numbers = [...(await expected.read())];
  expect([...(await y.read())]).toEqual(numbers.map((value) => expect.closeTo(value, 12)));
  expect(() => globalAveragePool(tape.input([3, 2], new Float32Array(6)))).toThrow(
    "globalAveragePool: input 3 × 2, must be C × H × W × N",
  );
});

test("pooling refuses a window larger than the image, and a pad larger than half the window", () => {
  const x = new Tape(openReference()).input([2, 4, 2, 1], new Float32Array(16));
  for (const pool of [maxPool, averagePool]) {
    expect(() => pool(x, { window: 3, stride: 2 })).toThrow(ShapeError);
    expect(() => pool(x, { window: 3, stride: 2 })).toThrow(
      `${pool.name}: a window of 3 × 3 does not fit an image of 4 × 2`,
    );
    expect(() => pool(x, { window: 5, stride: 2, pad: 1 })).toThrow(
      `${pool.name}: a window of 5 × 5 does not fit an image of 4 × 2 with a padding of 1`,
    );
    expect(() => pool(x, { window: 3, stride: 2, pad: 2 })).toThrow(
      `${pool.name}: pad 2, window 3: pad must be at most half the window`,
    );
  }
});
