/** Bar charts: well-formed, in proportion, and no text over another. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { chart, writeChart } from "../../bench/chart.ts";
import { temporaryFolder } from "../support/folders.ts";
import { results, row } from "../support/toy.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

const rows = [
  row([100], { contestant: "conv_1_naive", device: "gpu:0", ofRoof: 0.01 }),
  row([1], { device: "gpu:0", ofRoof: 1 }),
  row([2], { ofRoof: 0.12345 }),
  row([4], { name: "conv2 forward & <more>", contestant: "a contestant with quite a long name, version 2.15.0" }),
];
const svg = chart("conv", rows, results(rows));

interface Text {
  readonly x: number;
  readonly y: number;
  readonly end: boolean;
  readonly text: string;
}
const texts: Text[] = [...svg.matchAll(/<text x="(\d+)" y="(\d+)"([^>]*)>([^<]*)<\/text>/g)].map(
  ([, x, y, style, text]) => ({
    ...{ x: Number(x), y: Number(y), end: style!.includes('text-anchor="end"'), text: text! },
  }),
);
const bars = [...svg.matchAll(/<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/g)].map((match) =>
  match.slice(1).map(Number),
);

test("every piece of work, contestant and value stands there, escaped", () => {
  const all = texts.map(({ text }) => text);
  expect(all).toContain("conv1 forward, batch 128");
  expect(all).toContain("conv2 forward &amp; &lt;more&gt;");
  expect(all).toContain("conv2d, gpu:0");
  expect(all).toContain("500 GFLOP/s, 12%");
  expect(texts.length).toBe(svg.split("<text ").length - 1);
});

test("bars are in proportion to the speed", () => {
  const [naive, best, half, quarter] = bars.map(([, , width]) => width!) as [number, number, number, number];
  expect(bars.length).toBe(4);
  expect(half / best).toBeCloseTo(1 / 2, 2);
  expect(quarter / best).toBeCloseTo(1 / 4, 2);
  expect(naive / best).toBeCloseTo(1 / 100, 2);
});

test("no text lies over another, over a bar or outside", () => {
  const width = Number(/width="(\d+)"/.exec(svg)![1]);
  const height = Number(/height="(\d+)"/.exec(svg)![1]);
  // A generous seven units a letter.
  const boxes = texts.map(({ x, y, end, text }) => {
    const size = 7 * text.replace(/&\w+;/g, "x").length;
    return end ? { left: x - size, right: x, y } : { left: x, right: x + size, y };
  });
  for (const [i, a] of boxes.entries()) {
    expect(a.left).toBeGreaterThanOrEqual(0);
    expect(a.right).toBeLessThanOrEqual(width);
    expect(a.y).toBeLessThan(height);
    for (const b of boxes.slice(i + 1)) {
      const apart = Math.abs(a.y - b.y) >= 12 || a.right <= b.left || b.right <= a.left;
      expect(apart).toBe(true);
    }
    for (const [x, y, w, h] of bars as [number, number, number, number][]) {
      expect(a.y <= y || a.y - 10 >= y + h || a.right <= x || a.left >= x + w).toBe(true);
    }
  }
});

test("a file for each suite that has rows, which draws", async () => {
  const path = join(folder.path, "chart.svg");
  await writeChart(path, "conv", results(rows));
  await writeChart(path, "pool", results(rows));
  expect(existsSync(join(folder.path, "chart-pool.svg"))).toBe(false);
  const written = readFileSync(join(folder.path, "chart-conv.svg"));
  const png = await Transformer.fromSvg(written).png();
  expect(png.subarray(1, 4).toString()).toBe("PNG");
});

test("networks of very different speeds each have a scale of their own", () => {
  const images = (name: string, ms: number) => row([ms], { name, suite: "step", work: { unit: "image", amount: 1 } });
  const step = [images("alexnet", 1000), images("small", 1)];
  const widths = [...chart("step", step, results(step)).matchAll(/<rect x="\d+" y="\d+" width="(\d+)"/g)].map(
    ([, w]) => w,
  );
  expect(widths[0]).toBe(widths[1]!);
});
