import { describe, expect, test } from "bun:test";
import { Transformer } from "@napi-rs/image";
import { BadImage, decodeRecord } from "../../src/data/decode.ts";
import { readHeader } from "../../src/data/header.ts";
import { damagedProgressive } from "../support/golden_pictures.ts";
import { CMYK, drawn, plain, withOrientation } from "../support/images.ts";

async function record(bytes: Uint8Array, side: number): Promise<Uint8Array> {
  const target = new Uint8Array(side * side * 3);
  await decodeRecord({ kind: "encoded", bytes }, side, target);
  return target;
}

const at = (pixels: Uint8Array, side: number, x: number, y: number) => [
  ...pixels.subarray(3 * (y * side + x), 3 * (y * side + x) + 3),
];

async function complaint(bytes: Uint8Array, side = 32): Promise<string> {
  try {
    await record(bytes, side);
  } catch (error) {
    if (error instanceof BadImage) return error.message;
    throw error;
  }
  return "no complaint";
}

/** 64 × 32: red grows to the right, green downwards. */
const slope = drawn(64, 32, (x, y) => [4 * x, 8 * y, 0]);

describe("formats", () => {
  test.each([
    ["PNG", () => slope.png()],
    ["WebP", () => slope.webpLossless()],
    ["WebP", () => slope.webp(90)],
    ["JPEG", () => slope.jpeg(90)],
  ] as const)("%s: header and pixels", async (format, encode) => {
    const bytes = await encode();
    expect(readHeader(bytes)).toMatchObject({ format, width: 64, height: 32, orientation: 1 });
    const pixels = await record(bytes, 32);
    // The centre: columns 16 to 47.
    const [left, right] = [at(pixels, 32, 0, 16), at(pixels, 32, 31, 16)];
    expect(Math.abs(left[0]! - 64)).toBeLessThan(8);
    expect(Math.abs(right[0]! - 188)).toBeLessThan(8);
    expect(Math.abs(left[1]! - 128)).toBeLessThan(8);
  });

  test("an image of the right size comes through unchanged", async () => {
    const pixels = await record(await drawn(32, 32, (x, y) => [x, y, x ^ y]).png(), 32);
    for (const [x, y] of [
      [0, 0],
      [31, 0],
      [7, 19],
    ] as const)
      expect(at(pixels, 32, x, y)).toEqual([x, y, x ^ y]);
  });

  test("greyscale becomes three equal channels, at the record's size and at another", async () => {
    const grey = await new Transformer(await plain(90, 90, 90, 32)).grayscale().png();
    expect(at(await record(grey, 32), 32, 5, 5)).toEqual([90, 90, 90]);
    expect(at(await record(grey, 16), 16, 5, 5)).toEqual([90, 90, 90]);
  });

  test("transparency lies on white", async () => {
    const half = await drawn(32, 32, (x) => [200, 100, 0, x < 16 ? 0 : 128]).png();
    const pixels = await record(half, 32);
    expect(at(pixels, 32, 2, 2)).toEqual([255, 255, 255]);
    for (const [c, expected] of [227, 177, 127].entries()) {
      expect(Math.abs(at(pixels, 32, 30, 2)[c]! - expected)).toBeLessThanOrEqual(2);
    }
  });

  test("of half transparent places the colours are weighed by alpha once", async () => {
    // Every other column hidden, with a green that must not show: half of (100, 50, 20), half white.
    const columns = drawn(64, 64, (x) => (x % 2 ? [100, 50, 20] : [0, 255, 0, 0]));
    // The same at 16 × 16 by a palette whose first colour is hidden (tRNS).
    const palette =
      "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAABlBMVEUA/wBkMhTXd52zAAAAAXRSTlMAQObYZgAAAA5JREFUeNpjCA1lIAUBAP8w" +
      "CqEC5szVAAAAAElFTkSuQmCC";
    const images = [columns.png(), columns.webpLossless(), columns.webp(95), Buffer.from(palette, "base64")];
    for (const bytes of await Promise.all(images)) {
      const pixel = at(await record(bytes, 8), 8, 4, 4);
      for (const [c, expected] of [177.5, 152.5, 137.5].entries()) {
        expect(Math.abs(pixel[c]! - expected)).toBeLessThan(8);
      }
    }
  });

  test("16 bits become 8", async () => {
    // 16 × 16 greyscale of 40,000 of 65,535, written by Pillow.
    const png =
      "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQEAAAAABqCHz+AAAAFklEQVR4nGOc48CAFzDhlx5VMLwUAADnwwD8O2PsBAAAAABJRU5ErkJggg==";
    for (const side of [16, 8])
      expect(at(await record(Buffer.from(png, "base64"), side), side, 3, 3)).toEqual([156, 156, 156]);
  });

  test("a CMYK JPEG has its colours", async () => {
    const [r, g, b] = at(await record(CMYK, 16), 16, 8, 8);
    expect([Math.abs(r! - 200) < 6, Math.abs(g! - 60) < 6, Math.abs(b! - 30) < 6]).toEqual([true, true, true]);
  });
});

describe("orientation", () => {
  // Where the stored image's top left corner (black) and its top right one (red) belong.
  const corners: Record<number, [red: string, black: string]> = {
    1: ["right top", "left top"],
    2: ["left top", "right top"],
    3: ["left bottom", "right bottom"],
    4: ["right bottom", "left bottom"],
    5: ["left bottom", "left top"],
    6: ["right bottom", "right top"],
    7: ["right top", "right bottom"],
    8: ["left top", "left bottom"],
  };
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("EXIF orientation %i is applied", async (orientation) => {
    const square = await drawn(64, 64, (x, y) => [x < 32 ? 0 : 255, y < 32 ? 0 : 255, 0]).jpeg(95);
    for (const little of [false, true]) {
      const turned = withOrientation(square, orientation, little);
      expect(readHeader(turned)).toMatchObject({ orientation });
      for (const side of [64, 32]) {
        const pixels = await record(turned, side);
        const place = (x: string, y: string) =>
          at(pixels, side, x === "left" ? 4 : side - 5, y === "top" ? 4 : side - 5).map((v) => (v > 127 ? 255 : 0));
        const find = (colour: string) =>
          ["left top", "right top", "left bottom", "right bottom"].filter((p) => {
            const [x, y] = p.split(" ") as [string, string];
            return place(x, y).join() === colour;
          });
        expect([find("255,0,0"), find("0,0,0")]).toEqual([[corners[orientation]![0]], [corners[orientation]![1]]]);
      }
    }
  });

  test("of a wide image, the sides are swapped before the centre is cut out", async () => {
    const wide = withOrientation(await slope.jpeg(95), 6);
    const pixels = await record(wide, 32);
    // Turned right: red, which grew to the right, grows downwards.
    expect(at(pixels, 32, 16, 31)[0]! - at(pixels, 32, 16, 0)[0]!).toBeGreaterThan(100);
    expect(Math.abs(at(pixels, 32, 31, 16)[0]! - at(pixels, 32, 0, 16)[0]!)).toBeLessThan(12);
  });
});

describe("bad images say what is wrong", () => {
  test("empty, text, cut short, too large, too thin", async () => {
    const photo = await drawn(64, 64, (x, y) => [(x * 37) % 256, (y * 91) % 256, (x * y) % 256]).jpeg(90);
    const png = await plain(3, 3, 3, 64);
    expect(await complaint(new Uint8Array(0))).toBe("the file is empty");
    expect(await complaint(Buffer.from("hello, this is text"))).toBe("it is not a JPEG, PNG or WebP image");
    expect(await complaint(photo.subarray(0, photo.length / 2))).toBe(
      "its JPEG data is cut short: the end marker is missing",
    );
    expect(await complaint(photo.subarray(0, 24))).toBe("its JPEG header is damaged or cut short");
    expect(await complaint(png.subarray(0, png.length - 20))).toStartWith("it can't be decoded: ");
    expect(await complaint((await slope.webp(80)).subarray(0, 60))).toStartWith("it can't be decoded: ");
    const huge = Buffer.from(png);
    huge.writeUInt32BE(60_000, 16);
    expect(await complaint(huge)).not.toBe("no complaint");
    huge.writeUInt32BE(60_000, 20);
    expect(await complaint(huge)).toBe("60000 × 60000 is more than 100 megapixels");
    expect(await complaint(await drawn(4000, 1, () => [1, 2, 3]).png(), 227)).toBe("4000 × 1 is too long and thin");
  });

  test("a failure that follows a warning is one, and does not leave the picture before it", async () => {
    await record(await plain(200, 60, 30, 64), 32);
    expect(await complaint(damagedProgressive())).toBe("it can't be decoded: Huffman table 0x00 was not defined");
  });

  test.each([
    // A JPEG has to have its end, a PNG the chunk IHDR, a WebP the first 30 bytes.
    ["JPEG", Infinity, async () => withOrientation(await slope.jpeg(80), 6)],
    ["PNG", 33, () => slope.png()],
    ["WebP", 30, () => slope.webp(80)],
  ] as const)("a %s cut at any byte is refused, or has the header of the whole", async (_, enough, encode) => {
    const bytes = await encode();
    const whole = readHeader(bytes);
    for (let length = 0; length < Math.min(bytes.length, 200); length++) {
      const found = readHeader(bytes.subarray(0, length));
      if (length < enough) expect(found).toBeString();
      else expect(found).toEqual(whole);
    }
  });
});
