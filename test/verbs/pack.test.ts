/** The contents of a pack, the report on its source, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDecoder } from "../../src/data/decode.ts";
import { openDataset } from "../../src/data/open.ts";
import { UsageError } from "../../src/errors.ts";
import { Purpose, Random } from "../../src/random.ts";
import { pack, type PackOptions } from "../../src/verbs/pack/pack.ts";
import { temporaryFolder, writeFiles, type Files } from "../support/folders.ts";
import { damagedProgressive } from "../support/golden_pictures.ts";
import { CMYK, drawn, withOrientation } from "../support/images.ts";
import { packer, photoFiles, picture, SIDE, small } from "../support/packs.ts";
import { complaint } from "../support/sets.ts";
import { tar } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
/** All files of a folder, by name. */
const filesOf = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name)).toString("base64")]),
  );

const decoder = await openDecoder();

async function recordOf(set: Dataset, i: number, side = SIDE, shorter = side): Promise<Uint8Array> {
  const record = new Uint8Array(side * side * 3);
  const image = await set.read(i);
  decoder.record(image, side, record, { shorter });
  return record;
}

const about = (set: Dataset) => ({
  classes: set.classes,
  images: Array.from({ length: set.length }, (_, i) => [set.nameOf(i), set.label(i)]),
});

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

const photos = join(root, "photos");
beforeAll(async () => writeFiles(photos, await photoFiles()));

const packInto = packer(root);

describe("contents", () => {
  test.each([
    ["raw", SIDE, 0],
    ["raw", 19, 0],
    ["jpeg", SIDE, 8],
  ] as const)(
    "%s, the shorter side %i: images, classes and names in the same order",
    async (encoding, shorter, off) => {
      const out = await packInto(`back-${encoding}-${shorter}`, { encoding, shorter });
      const source = await openDataset(photos, { holdOut: 0 });
      const packed = await openDataset(out, { holdOut: 0 });
      for (const part of ["train", "val"] as const) {
        const [before, after] = [source[part], packed[part]];
        expect(about(after)).toEqual(about(before));
        expect(after.name).toBe(`${out} (${part})`);
        for (let i = 0; i < before.length; i++) {
          const [found, expected] = [await recordOf(after, i), await recordOf(before, i, SIDE, shorter)];
          expect(largestDifference(found, expected)).toBeLessThanOrEqual(off);
        }
        await before.close();
        await after.close();
      }
      expect([packed.train.length, packed.val.length]).toEqual([13, 8]);
    },
  );

  test("without a validation split, the same images are held out as of the source", async () => {
    const alone = join(root, "alone");
    await writeFiles(alone, await photoFiles([""]));
    const out = await packInto("alone-packed", { data: alone });
    for (const seed of [0, 1]) {
      const [source, packed] = [await openDataset(alone, { seed }), await openDataset(out, { seed })];
      expect(about(packed.val)).toEqual(about(source.val));
      expect(about(packed.train)).toEqual(about(source.train));
      for (const set of [source, packed]) await set.train.close();
    }
  });

  test("an archive, packed or not, gives the same images as the folder", async () => {
    const folder = filesOf(await packInto("of-folder", { encoding: "raw" }));
    const members = Object.entries(await photoFiles()).map(([path, contents]) => ({ path, contents }));
    for (const [name, bytes] of [
      ["photos.tar", tar(...members)],
      ["photos.tar.gz", Bun.gzipSync(Buffer.from(tar(...members)))],
    ] as const) {
      writeFileSync(join(root, name), bytes);
      const out = await packInto(`of-${name}`, { data: join(root, name), encoding: "raw" });
      expect(readFileSync(join(out, "mean.npy")).toString("base64")).toBe(folder["mean.npy"]!);
      const images = (shard: string) => Buffer.from(shard, "base64").subarray(0, 4 * SIDE * SIDE * 3);
      const shards = Object.keys(folder).filter((file) => file.endsWith(".shard"));
      expect(
        readdirSync(out)
          .filter((file) => file.endsWith(".shard"))
          .sort(),
      ).toEqual(shards);
      for (const file of shards.slice(0, 3)) {
        expect(images(readFileSync(join(out, file)).toString("base64")).equals(images(folder[file]!))).toBe(true);
      }
    }
  });

  test.each(["raw", "jpeg"] as const)("%s: the same bytes with 1, 2 and 3 threads", async (encoding) => {
    const [one, two, three] = await Promise.all(
      [1, 2, 3].map(async (threads) => filesOf(await packInto(`${encoding}-by-${threads}`, { encoding, threads }))),
    );
    expect(Object.keys(one!)).toEqual([
      ...["lock", "mean.npy", "pack.json", "plan.json", "report.csv"],
      ...[0, 1, 2, 3].map((k) => `train-0000${k}.shard`),
      ...[0, 1].map((k) => `val-0000${k}.shard`),
    ]);
    expect(two).toEqual(one!);
    expect(three).toEqual(one!);
  });

  test("packing again touches nothing, and removes what a kill left", async () => {
    const out = await packInto("again");
    const times = () => readdirSync(out).map((file) => [file, statSync(join(out, file)).mtimeMs]);
    const [before, bytes] = [times(), filesOf(out)];
    writeFileSync(join(out, "train-00001.shard.partial"), "left");
    expect(await pack({ data: photos, out, ...small })).toMatchObject({ packed: 0, train: 13, val: 8, shards: 6 });
    expect(times()).toEqual(before);
    expect(filesOf(out)).toEqual(bytes);
  });

  test("ImageNet's special files: a PNG named .JPEG, CMYK, rotated by EXIF, greyscale", async () => {
    const square = await drawn(32, 32, (x, y) => [x < 16 ? 0 : 255, y < 16 ? 0 : 255, 0]).jpeg(95);
    const special = join(root, "special");
    await writeFiles(special, {
      "a/cmyk.JPEG": CMYK,
      "a/grey.JPEG": await drawn(20, 20, () => [90, 90, 90])
        .grayscale()
        .jpeg(95),
      "b/png.JPEG": await drawn(20, 20, () => [10, 200, 30]).png(),
      "b/turned.JPEG": withOrientation(square, 6),
    });
    const out = await packInto("special-packed", { data: special });
    const { train } = await openDataset(out, { holdOut: 0 });
    const pixel = async (i: number, x: number, y: number) => [
      ...(await recordOf(train, i)).subarray(3 * (SIDE * y + x), 3 * (SIDE * y + x) + 3),
    ];
    const expected: [i: number, x: number, y: number, rgb: number[]][] = [
      [0, 8, 8, [200, 60, 30]],
      [1, 8, 8, [90, 90, 90]],
      [2, 8, 8, [10, 200, 30]],
      // Rotated clockwise: the black corner moves from top left to top right, with the red one below it.
      [3, 13, 2, [0, 0, 0]],
      [3, 13, 13, [255, 0, 0]],
      [3, 2, 2, [0, 255, 0]],
    ];
    for (const [i, x, y, rgb] of expected) {
      for (const [c, value] of (await pixel(i, x, y)).entries()) expect(Math.abs(value - rgb[c]!)).toBeLessThan(12);
    }
    await train.close();
  });
});

describe("report.csv", () => {
  /** The rows of a CSV, with unquoted cells. */
  const parse = (text: string) =>
    text
      .match(/(?:"(?:[^"]|"")*"|[^"\n])*\n/g)!
      .map((line) => line.trimEnd().match(/"(?:[^"]|"")*"|[^,]+/g)!)
      .map((cells) => cells.map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell)));

  test("names images that are corrupt, have the wrong extension, or are in two classes", async () => {
    const photo = await picture(1).jpeg(90);
    const odd = join(root, "odd");
    const awkward = process.platform === "win32" ? "a, b.jpg" : 'a, "b"\nc.jpg';
    await writeFiles(odd, {
      ...(await photoFiles([""])),
      "class a/cut.jpg": photo.subarray(0, photo.length / 2),
      "class a/damaged.jpg": damagedProgressive(),
      [`class a/${awkward}`]: Buffer.from("no image"),
      "class b/named.JPEG": await picture(77).png(),
      "class b/twin.jpg": await picture(99).jpeg(90),
      "class c/twin.jpg": await picture(99).jpeg(90),
    });
    const out = await packInto("odd-packed", { data: odd });
    const rows = parse(readFileSync(join(out, "report.csv"), "utf8"));
    expect(rows[0]).toEqual(["file", "packed", "problem"]);
    expect(rows.slice(1).sort()).toEqual(
      [
        [`${odd}/class a/${awkward.replace("\n", "\\u{a}")}`, "no", "it is not a JPEG, PNG or WebP image"],
        [`${odd}/class a/cut.jpg`, "no", "its JPEG data is cut short: the end marker is missing"],
        [`${odd}/class a/damaged.jpg`, "no", "it can't be decoded: Huffman table 0x00 was not defined"],
        [`${odd}/class b/named.JPEG`, "yes", "it is named as JPEG, but is PNG"],
        [
          `${odd}/class c/twin.jpg`,
          "yes",
          `the picture of class "class c" is the same as ${odd}/class b/twin.jpg of class "class b"`,
        ],
      ].sort(),
    );
    // Skipped images come first.
    expect(rows.map(([, packed]) => packed)).toEqual(["packed", "no", "no", "no", "yes", "yes"]);
    const { train } = await openDataset(out, { holdOut: 0 });
    expect(train.length).toBe(13 + 3);
    expect(about(train).images.some(([name]) => String(name).endsWith("cut.jpg"))).toBe(false);
    await train.close();
  });

  test("is written even when too many images are corrupt, or all of the training set", async () => {
    const bad = join(root, "bad");
    await writeFiles(bad, await photoFiles());
    for (let i = 0; i < 11; i++) await writeFiles(bad, { [`train/class a/bad${i}.jpg`]: "no image" });
    const out = join(root, "bad-packed");
    expect(await complaint(pack({ data: bad, out, ...small }))).toBe(
      `11 of 32 images can't be used, first ${bad}/train/class a/bad0.jpg: it is not a JPEG, PNG or WebP image: at most 5% ` +
        `may be skipped: repair or remove those listed in ${join(out, "report.csv")}, delete ${out}, and pack again`,
    );
    expect(parse(readFileSync(join(out, "report.csv"), "utf8")).length).toBe(12);
    expect(readdirSync(out)).not.toContain("pack.json");

    const none = join(root, "none");
    await writeFiles(none, { "train/a/1.png": "x", "train/b/1.png": "x", ...(await photoFilesOf("val/", ["a", "b"])) });
    expect(await complaint(pack({ data: none, out: join(root, "none-packed"), ...small }))).toStartWith(
      "2 of 4 images can't be used, first ",
    );
  });

  const photoFilesOf = async (part: string, classes: readonly string[]): Promise<Files> =>
    Object.fromEntries(await Promise.all(classes.map(async (c, i) => [`${part}${c}/1.png`, await picture(i).png()])));
});

describe("refused", () => {
  const refusal = async (options: Partial<PackOptions>): Promise<string> => {
    try {
      await pack({ data: photos, out: join(root, "refused"), ...small, ...options });
    } catch (error) {
      if (error instanceof UsageError) return error.message;
      throw error;
    }
    return "no refusal";
  };

  test("the folder of another pack, or of something else", async () => {
    const out = await packInto("taken");
    const others = `${out} holds a pack of other images or with other settings (plan.json): name another folder, or delete it`;
    expect(await refusal({ out, side: 12 })).toBe(others);
    expect(await refusal({ out, encoding: "raw" })).toBe(others);
    expect(await refusal({ out, quality: 50 })).toBe(others);
    expect(await refusal({ out, shard: 5 })).toBe(others);
    // An additional file, and the same files in other classes.
    const moved = join(root, "moved");
    cpSync(photos, moved, { recursive: true });
    renameSync(join(moved, "train/class a/0.jpg"), join(moved, "train/class b/0.jpg"));
    expect(await refusal({ out, data: moved })).toBe(others);
    copyFileSync(join(moved, "train/class b/0.jpg"), join(moved, "train/class a/new.jpg"));
    expect(await refusal({ out, data: moved })).toBe(others);
    expect(await refusal({ out: photos })).toBe(`${photos} is not empty (train): name a new folder`);
  });

  test("a folder that can't be created", async () => {
    writeFileSync(join(root, "file"), "");
    expect(await complaint(pack({ data: photos, out: join(root, "file"), ...small }))).toStartWith(
      `can't pack into ${join(root, "file")}: `,
    );
    expect(await complaint(pack({ data: photos, out: join(root, "file", "below"), ...small }))).toBe(
      `can't pack into ${join(root, "file", "below")}: part of the path is a file`,
    );
  });
});

test("all images of a random set are packed, whatever the shard size", async () => {
  const random = new Random(7, Purpose.drawing);
  for (let round = 0; round < 5; round++) {
    const [count, shard] = [2 + random.integer(20), 1 + random.integer(24)];
    const data = join(root, `random${round}`);
    mkdirSync(data);
    for (let i = 0; i < count; i++) {
      await writeFiles(data, { [`${i % 2}/${i}.png`]: await drawn(8, 8, () => [i, 2 * i, 3 * i]).png() });
    }
    const out = await packInto(`random${round}-packed`, { data, encoding: "raw", side: 4, shard });
    const { train } = await openDataset(out, { holdOut: 0 });
    const colours = await Promise.all(Array.from({ length: count }, async (_, i) => (await recordOf(train, i, 4))[0]!));
    expect(colours.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    await train.close();
  }
});
