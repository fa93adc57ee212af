/** Maps of activations and of what decides, decoded again: the colours lie where the numbers say. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Transformer } from "@napi-rs/image";
import { ShapeError } from "../../src/errors.ts";
import { drawHeat } from "../../src/pictures/heat.ts";
import { drawMaps } from "../../src/pictures/maps.ts";
import { renderPng } from "../../src/pictures/svg.ts";

setDefaultTimeout(60_000);

const grey = (side: number) => ({ pixels: new Uint8Array(3 * side * side).fill(128), width: side, height: side });

async function decode(svg: string) {
  const rgba = await new Transformer(await renderPng(svg)).rawPixels();
  const width = Number(/ width="(\d+)"/.exec(svg)![1]);
  const at = (x: number, y: number) => [...rgba.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)] as const;
  return { width, at };
}

test("where the square took most is red, where it gave is blue, and grey stays what changed nothing", async () => {
  const losses = new Float32Array(64);
  [losses[8 * 1 + 1], losses[8 * 6 + 5]] = [0.4, -0.4];
  const svg = await drawHeat({ title: "t", fact: "f", image: grey(64), losses, side: 8, square: 13 });
  const { at } = await decode(svg);
  // 64 pixels are drawn as 448; the second picture starts after the first and a gap.
  const [left, top, place] = [32 + 448 + 24, 92, 448 / 8];
  const [red, , blue] = at(left + 1.5 * place, top + 1.5 * place);
  expect(red! - blue!).toBeGreaterThan(100);
  const [coldRed, , coldBlue] = at(left + 5.5 * place, top + 6.5 * place);
  expect(coldBlue! - coldRed!).toBeGreaterThan(80);
  const [r, g, b] = at(left + 3.5 * place, top + 3.5 * place);
  expect(Math.max(r!, g!, b!) - Math.min(r!, g!, b!)).toBeLessThan(3);
  expect(svg).toContain("+40.0 points");
});

test("a map where nothing changed anything is grey, without a division by nothing", async () => {
  const svg = await drawHeat({
    title: "t",
    fact: "f",
    image: grey(4),
    losses: new Float32Array(4),
    side: 2,
    square: 1,
  });
  const [r, g, b] = (await decode(svg)).at(32 + 448 + 24 + 100, 200);
  expect([r === g, g === b]).toEqual([true, true]);
  await expect(drawHeat({ title: "t", fact: "f", image: grey(4), losses: new Float32Array(3), side: 2, square: 1 })).rejects.toThrow(ShapeError); // prettier-ignore
});

test("maps of a layer share a scale; positive is warm, negative is blue, silent ones are counted", async () => {
  const values = Float32Array.of(...Array(4).fill(1), ...Array(4).fill(0.5), ...Array(4).fill(0), ...Array(4).fill(-1));
  const layer = { name: "conv1", maps: 4, height: 2, width: 2, values };
  const svg = await drawMaps({ title: "t", fact: "f", image: grey(8), layers: [layer] });
  expect(svg).toContain("4 maps of 2 × 2, 1 of them all zero");
  const { at } = await decode(svg);
  const y = 92 + 224 + 40 + 12 + 10;
  const [strong, half, silent, negative] = [0, 1, 2, 3].map((k) => at(32 + k * 74 + 20, y));
  expect(strong).toEqual([255, 250, 225]);
  expect(half).toEqual([226, 92, 38]);
  expect(silent).toEqual([16, 16, 24]);
  expect(negative).toEqual([235, 248, 255]);
  const wide = { ...layer, maps: 385, values: new Float32Array(4 * 385).fill(1) };
  expect(await drawMaps({ title: "t", fact: "f", image: grey(8), layers: [wide] })).toContain(
    "385 maps of 2 × 2, the first 384 drawn",
  );
  await expect(drawMaps({ title: "t", fact: "f", image: grey(8), layers: [{ ...layer, maps: 5 }] })).rejects.toThrow(ShapeError); // prettier-ignore
});
