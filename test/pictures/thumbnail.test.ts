import { expect, test } from "bun:test";
import { BadImage } from "../../src/data/decode.ts";
import { thumbnail } from "../../src/pictures/thumbnail.ts";
import { CMYK, drawn, withOrientation } from "../support/images.ts";

const encoded = (bytes: Uint8Array) => ({ kind: "encoded", bytes }) as const;

test("reduced to the room there is, its shape kept", async () => {
  const { pixels, width, height } = await thumbnail(encoded(await drawn(300, 100, () => [90, 60, 30]).png()), 60, 60);
  expect([width, height, pixels.length]).toEqual([60, 20, 3600]);
  for (let i = 0; i < pixels.length; i += 3) expect([...pixels.subarray(i, i + 3)]).toEqual([90, 60, 30]);
  const strip = encoded(await drawn(300, 1, () => [90, 60, 30]).png());
  expect(await thumbnail(strip, 60, 60)).toMatchObject({ width: 60, height: 1 });
});

test("a small one stays as it is", async () => {
  const small = encoded(await drawn(5, 3, (x, y) => [40 * x, 80 * y, 7]).png());
  const { pixels, width, height } = await thumbnail(small, 60, 60);
  expect([width, height]).toEqual([5, 3]);
  expect([...pixels.subarray(3 * (2 * 5 + 4))]).toEqual([160, 160, 7]);
});

test("upright", async () => {
  // Stored lying on its side: the left half is white, and what is left becomes the top.
  const jpeg = await drawn(64, 32, (x) => (x < 32 ? [255, 255, 255] : [0, 0, 0])).jpeg(95);
  const { pixels, width, height } = await thumbnail(encoded(withOrientation(jpeg, 6)), 16, 16);
  expect([width, height]).toEqual([8, 16]);
  expect(pixels[0]).toBeGreaterThan(240);
  expect(pixels.at(-1)).toBeLessThan(15);
});

test("transparency lies on white", async () => {
  const png = await drawn(4, 4, () => [0, 0, 200, 128]).png();
  const { pixels } = await thumbnail(encoded(png), 16, 16);
  expect(pixels[0]).toBeWithin(126, 129);
});

test("a CMYK JPEG has its colours", async () => {
  const { pixels } = await thumbnail(encoded(CMYK), 8, 8);
  [200, 60, 30].forEach((value, c) => expect(Math.abs(pixels[3 * 36 + c]! - value)).toBeLessThan(4));
});

test("what is no image is refused", async () => {
  const error = await thumbnail(encoded(Buffer.from("text")), 9, 9).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(BadImage);
  expect((error as BadImage).message).toBe("it is not a JPEG, PNG or WebP image");
});
