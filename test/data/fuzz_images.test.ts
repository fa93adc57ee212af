/**
 * Damaged images, shards and packs. An image becomes a record or a BadImage, a pack can be opened or is a DataError;
 * what is declared larger than it can be takes no memory. The same damage in every run; FUZZ in the environment says
 * how much of it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Dataset } from "../../src/data/dataset.ts";
import { BadImage, Decoder, openDecoder } from "../../src/data/decode.ts";
import { openJpeg } from "../../src/data/jpeg.ts";
import { openDataset } from "../../src/data/open.ts";
import { DataError } from "../../src/errors.ts";
import { openTurbojpeg } from "../../src/native/turbojpeg.ts";
import { openTurbojpegWasm } from "../../src/native/turbojpeg_wasm.ts";
import { Purpose, Random } from "../../src/random.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { loadKernels } from "../../src/wasm/build.ts";
import { outcome } from "../support/decoding.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { formatFile, golden } from "../support/golden_pictures.ts";
import { drawn, withOrientation } from "../support/images.ts";
import { mutate, ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);

const decoder = await openDecoder();
const SIDE = 16;
const record = new Uint8Array(SIDE * SIDE * 3);

/** What is wrong with an image; undefined when it is a record now. */
function complaint(bytes: Uint8Array): string | undefined {
  const { record: made, message } = outcome(decoder, bytes, SIDE, record);
  return made ? undefined : message;
}

const picture = drawn(40, 30, (x, y) => [6 * x, 8 * y, (x * y) % 256]);
const alpha = drawn(24, 20, (x, y) => [9 * x, 9 * y, 40, 10 * x]);
const file = (name: keyof typeof golden.files) => Buffer.from(golden.files[name].base64, "base64");
const IMAGES: Readonly<Record<string, () => Uint8Array | Promise<Uint8Array>>> = {
  "a JPEG": () => withOrientation(file("4:2:0"), 6),
  "a progressive JPEG": () => file("progressive"),
  "a PNG": () => picture.png(),
  "a PNG with transparency": () => alpha.png(),
  "a WebP": () => picture.webp(80),
  "a lossless WebP": () => alpha.webpLossless(),
};

/** A message for each round that gave no record. @throws with the round's number whatever is no BadImage */
async function damage(whole: Uint8Array): Promise<string[]> {
  const complaints: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    try {
      const found = complaint(mutate(whole, round));
      if (found !== undefined) complaints.push(found);
    } catch (error) {
      throw new Error(`round ${round}`, { cause: error });
    }
    // Only between tasks does @napi-rs/image give back what it took for an image.
    await setImmediate();
  }
  return complaints;
}

test.each(Object.keys(IMAGES))(
  "%s: a record or a BadImage",
  async (name) => {
    const whole = await IMAGES[name]!();
    expect(complaint(whole)).toBeUndefined();
    const complaints = await damage(whole);
    expect(complaints.length).toBeGreaterThan(0);
    for (const message of complaints) expect(message).not.toMatch(/[\n\r]/);
    // The decoder is as good as before.
    expect(complaint(whole)).toBeUndefined();
  },
  TIMEOUT_MS,
);

/** Over `length` bytes somewhere others are written. */
function overwrite(whole: Uint8Array, length: number, round: number): Uint8Array {
  const random = new Random(20122, Purpose.drawing, round, length);
  const below = (limit: number) => Math.floor(random.uniform() * limit);
  const damaged = new Uint8Array(whole);
  const at = below(whole.length);
  for (let i = at; i < Math.min(whole.length, at + length); i++) damaged[i] = below(256);
  return damaged;
}

const JPEGS: Readonly<Record<string, () => Uint8Array | Promise<Uint8Array>>> = {
  "a baseline JPEG": () => file("4:2:0"),
  "a progressive JPEG": () => file("progressive"),
  "a JPEG of a record's size": () => drawn(SIDE, SIDE, (x, y) => [15 * x, 15 * y, 128]).jpeg(90),
  "a JPEG with restart markers": () => formatFile("jpeg restart markers, 1, progressive"),
  "an arithmetic JPEG": () => formatFile("jpeg arithmetic, progressive"),
  "a CMYK JPEG": () => formatFile("jpeg CMYK, progressive"),
  "two JPEGs in one file": () => formatFile("mpo"),
};
const OTHERS = Object.entries(IMAGES).filter(([name]) => !name.includes("JPEG"));

describe("not a pixel of the image before", () => {
  const after = [
    ...Object.entries(JPEGS).map(([name, make]) => [name, openTurbojpeg, make] as const),
    ...Object.entries(JPEGS).map(([name, make]) => [`${name} (WebAssembly)`, openTurbojpegWasm, make] as const),
    ...OTHERS.map(([name, make]) => [name, openTurbojpeg, make] as const),
  ];

  test.each(after)(
    "%s: what comes of it does not depend on that one",
    async (_, open, make) => {
      const whole = await make();
      // Two decoders and their records begin with what was there before, which is all red to one and blue to the other.
      const before = await Promise.all(
        [
          [255, 0, 0],
          [0, 0, 255],
        ].map(async (colour) => ({
          decoder: new Decoder(await loadKernels(), openJpeg(open())),
          colour: await drawn(80, 80, () => colour).jpeg(90),
          record: new Uint8Array(SIDE * SIDE * 3),
        })),
      );
      let refused = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = overwrite(whole, round % 2 ? 1 : 16, round);
        const [one, two] = before.map(({ decoder, colour, record }) => {
          expect(outcome(decoder, colour, SIDE, record).record).toBe(record);
          return outcome(decoder, bytes, SIDE, record);
        });
        const place = `round ${round}: `;
        expect(place + one!.message).toBe(place + two!.message);
        if (one!.record === undefined) refused++;
        else if (!Buffer.from(one!.record).equals(two!.record!)) throw new Error(`${place}other pixels`);
        await setImmediate();
      }
      expect(refused).toBeGreaterThan(0);
      expect(refused).toBeLessThan(ROUNDS);
    },
    TIMEOUT_MS,
  );
});

describe("what takes too much", () => {
  const declared = async (): Promise<Readonly<Record<string, Uint8Array>>> => {
    const jpeg = Buffer.from(file("4:2:0"));
    const frame = jpeg.indexOf(Uint8Array.of(0xff, 0xc0));
    jpeg.writeUInt16BE(60_000, frame + 5);
    jpeg.writeUInt16BE(60_000, frame + 7);
    const png = Buffer.from(await picture.png());
    png.writeUInt32BE(60_000, 16);
    png.writeUInt32BE(60_000, 20);
    // A WebP's canvas can be that large, the picture on it 16,383 pixels at most.
    const webp = Buffer.from(await alpha.webp(80));
    expect(webp.toString("latin1", 12, 16)).toBe("VP8X");
    webp.writeUIntLE(59_999, 24, 3);
    webp.writeUIntLE(59_999, 27, 3);
    return { jpeg, png, webp };
  };

  test("60,000 × 60,000 pixels are refused before there is memory for them", async () => {
    const images = Object.values(await declared());
    // What the first call needs for itself.
    for (const bytes of images) complaint(bytes);
    const before = process.memoryUsage().rss;
    for (const bytes of images) expect(complaint(bytes)).toBe("60000 × 60000 is more than 100 megapixels");
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6);
  });

  test("a progressive JPEG of thousands of scans is refused before all of them are decoded", () => {
    const progressive = file("progressive");
    // The last scan, a Huffman table and its data, again and again before the end marker.
    const end = progressive.subarray(-2);
    const scan = progressive.subarray(progressive.lastIndexOf(Uint8Array.of(0xff, 0xc4)), -2);
    const many = Buffer.concat([progressive.subarray(0, -2), ...new Array<Uint8Array>(20_000).fill(scan), end]);
    expect(complaint(many)).toContain("more than 500 scans");
  });
});

/** Opens a pack and reads all there is. True when all of it could be used. */
async function survives(path: string): Promise<boolean> {
  let sets: { train: Dataset; val: Dataset };
  try {
    sets = await openDataset(path, { holdOut: 0 });
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    expect(error.message).not.toMatch(/[\n\r]/);
    return false;
  }
  let good = true;
  for (const set of [sets.train, sets.val]) {
    for (let i = 0; i < set.length; i++) {
      expect(set.label(i)).toBeLessThan(set.classes.length);
      expect(set.nameOf(i)).toBeString();
      await set.read(i).catch((error: unknown) => {
        if (!(error instanceof BadImage) && !(error instanceof DataError)) throw error;
        good = false;
      });
    }
    await set.close();
  }
  return good;
}

describe("packs", () => {
  const out = join(root, "packed");
  beforeAll(async () => {
    for (const part of ["train", "val"]) {
      for (let i = 0; i < 6; i++) {
        const bytes = await drawn(20, 20, (x, y) => [12 * x, 12 * y, 40 * i]).png();
        await writeFiles(join(root, "photos"), { [`${part}/c${i % 2}/${i}.png`]: bytes });
      }
    }
    await pack({ data: join(root, "photos"), out, side: 8, encoding: "raw", shard: 4, threads: 1 });
  });

  test.each(["train-00000.shard", "val-00001.shard", "pack.json", "mean.npy"])(
    "%s: opened, or a DataError",
    async (name) => {
      const path = join(out, name);
      expect(existsSync(path)).toBe(true);
      const whole = readFileSync(path);
      expect(await survives(out)).toBe(true);
      let bad = 0;
      for (let round = 0; round < ROUNDS; round++) {
        writeFileSync(path, mutate(whole, round));
        try {
          if (!(await survives(out))) bad++;
        } catch (error) {
          throw new Error(`round ${round}`, { cause: error });
        }
      }
      writeFileSync(path, whole);
      expect(bad).toBeGreaterThan(0);
      expect(await survives(out)).toBe(true);
    },
    TIMEOUT_MS,
  );
});
