import { expect, test } from "bun:test";
import type { EpochRecord } from "../../src/runs/records.ts";
import { epochTable } from "../../src/verbs/train/epoch_table.ts";

const record: EpochRecord = {
  ...{ epoch: 3, step: 90, rate: 0.01, imagesPerSecond: 12_345.6, dataWait: 0.123, seconds: 200.4 },
  train: { loss: 1.3114, top1: 0.455, top5: 0 },
  val: { loss: 0.2661, top1: 0.091, top5: 0 },
};

function shown(columns: number): string {
  const row = epochTable(columns);
  return Bun.stripANSI(`${row(record, true)}\n${row({ ...record, epoch: 4, dataWait: 0 }, false)}`);
}

test("all columns; the heading once; the best epoch so far is named", () => {
  expect(shown(Infinity)).toBe(
    `epoch  train loss  accuracy  val loss  accuracy  images/s     time
    3       1.311     54.5%     0.266     90.9%    12,346   3m 20s  best  12.3% of it waiting for data
    4       1.311     54.5%     0.266     90.9%    12,346   3m 20s`,
  );
});

test("what has no room is left out, the accuracy last", () => {
  for (let columns = 20; columns <= 200; columns++) {
    const lines = shown(columns).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(lines[1]).toContain("90.9%");
  }
  expect(shown(60).split("\n")[0]).toBe("epoch  train loss  accuracy  val loss  accuracy");
  expect(shown(40).split("\n")[0]).toBe("epoch  val loss  accuracy");
});
