import { expect, test } from "bun:test";
import { Transformer } from "@napi-rs/image";
import { dataUrl, fit, image } from "../../src/pictures/raster.ts";
import { document, renderPng } from "../../src/pictures/svg.ts";

const RED = [200, 10, 30];
const BLUE = [20, 40, 180];
const two = { pixels: Uint8Array.from([...RED, ...BLUE]), width: 2, height: 1 };

test("a small image grows by a whole factor, each pixel a square", async () => {
  const { pixels, width, height } = await fit(two, 7, 100);
  expect([width, height]).toEqual([6, 3]);
  const row = [...RED, ...RED, ...RED, ...BLUE, ...BLUE, ...BLUE];
  expect([...pixels]).toEqual([...row, ...row, ...row]);
});

test("a large one is reduced to the room there is, its pixels averaged", async () => {
  const checks = {
    pixels: Uint8Array.from({ length: 64 * 32 * 3 }, (_, i) => (Math.floor(i / 3) % 2) * 200),
    width: 64,
    height: 32,
  };
  const { pixels, width, height } = await fit(checks, 16, 16);
  expect([width, height]).toEqual([16, 8]);
  for (const value of pixels) expect(value).toBeWithin(90, 111);
  expect(await fit({ ...checks, width: 2048, height: 1 }, 16, 16)).toMatchObject({ width: 16, height: 1 });
});

test("on a picture its pixels are what they were, and nothing lies beside them", async () => {
  const raster = await fit(two, 8, 8);
  const svg = document(20, 10, [await image(3, 2, raster)]);
  const rgba = await new Transformer(await renderPng(svg)).rawPixels();
  const colour = (x: number, y: number) => [...rgba.subarray(4 * (20 * y + x), 4 * (20 * y + x) + 3)];
  const white = [255, 255, 255];
  expect([2, 3, 6, 7, 10, 11].map((x) => colour(x, 2))).toEqual([white, RED, RED, BLUE, BLUE, white]);
  expect([1, 2, 5, 6].map((y) => colour(3, y))).toEqual([white, RED, RED, white]);
});

test("what is transparent stays so in a page, and is white on a picture", async () => {
  const raster = { ...two, alpha: Uint8Array.of(255, 0) };
  const rgba = await new Transformer(Buffer.from((await dataUrl(raster)).split(",")[1]!, "base64")).rawPixels();
  expect([rgba[3], rgba[7]]).toEqual([255, 0]);
  const drawn = await new Transformer(await renderPng(document(2, 1, [await image(0, 0, raster)]))).rawPixels();
  expect([...drawn]).toEqual([...RED, 255, 255, 255, 255, 255]);
});
