/** The confusion matrix, as SVG and pixel by pixel. */
import { describe, expect, test } from "bun:test";
import { Transformer } from "@napi-rs/image";
import { drawConfusion } from "../../src/pictures/confusion.ts";
import { renderPng } from "../../src/pictures/svg.ts";

const names = (count: number) => Array.from({ length: count }, (_, k) => `class <${k}>`);

describe("of few classes", () => {
  test("each pair has a cell with its number: blue on the diagonal, red beside it, darker for more", async () => {
    const entries = [[0, 0, 30], [0, 1, 10], [1, 0, 1], [1, 1, 39]] as const; // prettier-ignore
    const svg = await drawConfusion({ title: "a & b", classes: names(2), entries });
    const cells = [...svg.matchAll(/fill="rgb\((\d+), (\d+), (\d+)\)"\/>\n<text [^>]*>(\d+)</g)].map(
      ([, red, , blue, images]) => [Number(images), Number(red), Number(blue)] as const,
    );
    expect(cells.map(([images]) => images)).toEqual([30, 10, 1, 39]);
    const [right, wrong, few, most] = cells;
    expect(right![2]).toBeGreaterThan(right![1]);
    expect(wrong![1]).toBeGreaterThan(wrong![2]);
    expect(most![1]).toBeLessThan(right![1]);
    expect(few![2]).toBeGreaterThan(wrong![2]);
    expect(svg).toContain("class &#60;1&#62;");
    expect(svg).not.toContain("class <");
  });

  test("a class without images has an empty row", async () => {
    const svg = await drawConfusion({ title: "", classes: names(3), entries: [[0, 0, 1]] });
    expect(svg.match(/fill="rgb/g)!.length).toBe(1);
    expect(svg).not.toContain("NaN");
  });
});

describe("of many classes", () => {
  test.each([51, 400, 1300])(
    "%d: the diagonal is blue from corner to corner; the worst pairs are named",
    async (count) => {
      const entries = Array.from({ length: count }, (_, k) => [k, k, 4] as const);
      const svg = await drawConfusion({ title: "", classes: names(count), entries: [...entries, [7, 9, 3] as const] });
      expect(svg).toContain("class &#60;7&#62;");
      expect(svg).toContain("→ class &#60;9&#62;");
      expect(svg).toContain("3 of 7");
      const png = await renderPng(svg);
      const { width, height } = await new Transformer(Buffer.from(png)).metadata();
      const rgba = await new Transformer(Buffer.from(png)).rawPixels();
      const side = Number(/<image x="32" y="\d+" width="(\d+)"/.exec(svg)![1]);
      const top = Number(/<image x="32" y="(\d+)"/.exec(svg)![1]);
      expect(side).toBeLessThanOrEqual(1000);
      expect(width).toBeGreaterThan(side);
      expect(height).toBeGreaterThan(side);
      for (const at of [0, side / 2, side - 1].map(Math.floor)) {
        const [red, , blue] = rgba.subarray(4 * ((top + at) * width + 32 + at));
        expect(blue!).toBeGreaterThan(red! + 50);
      }
      const corner = rgba.subarray(4 * ((top + side - 1) * width + 32), 4 * ((top + side - 1) * width + 32) + 3);
      expect([...corner]).toEqual([255, 255, 255]);
    },
  );
});
