/** Results as text: numbers with three digits, tables that fit. */
import { expect, test } from "bun:test";
import { milliseconds, percent, perSecond, rowsText, skippedText } from "../../bench/report.ts";
import { row } from "../support/toy.ts";

test("numbers have three digits that count, and the unit that suits", () => {
  expect([0.0123, 0.5, 12.34, 999, 1234].map(milliseconds)).toEqual([
    "12.3 µs",
    "0.50 ms",
    "12.3 ms",
    "999 ms",
    "1.23 s",
  ]);
  expect(perSecond({ unit: "flop", amount: 2e9 }, 10)).toBe("200 GFLOP/s");
  expect(perSecond({ unit: "byte", amount: 4e6 }, 1)).toBe("4.00 GB/s");
  expect(perSecond({ unit: "image", amount: 128 }, 100)).toBe("1,280 images/s");
  expect([0.004, 0.0994, 0.0996, 1.287].map(percent)).toEqual(["0.4%", "9.9%", "10%", "129%"]);
});

const rows = [
  row([10, 12], { ofRoof: 0.5 }),
  row([20, 22], { device: "cpu:wasm" }),
  row([5, 5], { name: "conv2 forward, batch 128" }),
];

test("side by side, the name of a piece of work once", () => {
  const lines = rowsText(rows).split("\n");
  expect(lines[1]).toMatch(/^conv1 forward, batch 128  conv2d  cpu:blas  10\.0 ms  11\.0 ms   2   100 GFLOP\/s   50%$/);
  expect(lines[2]).toMatch(/^ +conv2d  cpu:wasm  20\.0 ms /);
  expect(lines.length).toBe(4);
});

test("one below the other where the terminal is narrow", () => {
  const lines = rowsText(rows, 60).split("\n");
  expect(lines[0]).toBe("conv1 forward, batch 128");
  expect(lines[1]).toMatch(/^  conv2d  cpu:blas  10\.0 ms   100 GFLOP\/s  50%$/);
  expect(lines.length).toBe(5);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
});

test("what was skipped, with the reason", () => {
  const skipped = { suite: "conv", name: "conv1 forward", contestant: "conv2d", device: "gpu:0", reason: "too large" };
  expect(skippedText([skipped])).toBe("not timed: conv1 forward, conv2d on gpu:0: too large");
});
