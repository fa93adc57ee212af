/** Results as text: tables that fit. */
import { expect, test } from "bun:test";
import { rowsText, skippedText } from "../../bench/report.ts";
import { row } from "../support/toy.ts";

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
