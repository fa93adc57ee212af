import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDataset, readImage } from "../../src/data/open.ts";
import { temporaryFolder } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { complaint, left, list, maker } from "../support/sets.ts";
import { gnuLongName, pax, tar, type Member } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);

let image: Uint8Array;
beforeAll(async () => {
  image = await plain(200, 10, 10);
});

const { folder, file } = maker(root);
const archive = async (...members: Member[]) => file(tar(...members));

const numbered = (count: number, name: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}/${i}.png`, image]));

describe("folders", () => {
  test("classes are sorted by bytes; hidden files are left out, others that are no images counted", async () => {
    const path = await folder({
      "b/2.png": image,
      "b/1.JPEG": image,
      "b/deeper/3.webp": image,
      "b/unnamed": image,
      "b/notes.txt": "no image",
      "b/.hidden.png": image,
      "Ä/1.png": image,
      "Z/1.png": image,
      ".git/x.png": image,
      "readme.md": "text",
    });
    const opened = await openDataset(path, { holdOut: 0 });
    const { train } = opened;
    expect(train.classes).toEqual(["Z", "b", "Ä"]);
    expect(list(train, path)).toEqual([
      "Z: Z/1.png",
      "b: b/1.JPEG",
      "b: b/2.png",
      "b: b/deeper/3.webp",
      "b: b/unnamed",
      "Ä: Ä/1.png",
    ]);
    expect(left(opened, path)).toEqual(["2 other file: b/notes.txt", "2 hidden: .git/"]);
    expect(await train.read(0)).toMatchObject({ kind: "encoded", bytes: Buffer.from(image) });
  });

  test("a share of every class is held out, by seed", async () => {
    const path = await folder({ ...numbered(30, "cat"), ...numbered(10, "dog"), "one/1.png": image });
    const { train, val } = await openDataset(path, { holdOut: 0.2, seed: 1 });
    const count = (set: Dataset) =>
      set.classes.map((_, k) => list(set, path).filter((_, i) => set.label(i) === k).length);
    expect([count(train), count(val)]).toEqual([
      [24, 8, 1],
      [6, 2, 0],
    ]);
    expect(new Set([...list(train, path), ...list(val, path)]).size).toBe(41);
    const again = async (seed: number) => list((await openDataset(path, { holdOut: 0.2, seed })).val, path);
    expect(await again(1)).toEqual(list(val, path));
    expect(await again(2)).not.toEqual(list(val, path));
  });

  test("train/ and val/, and a second folder", async () => {
    const path = await folder({
      ...numbered(3, "train/a"),
      ...numbered(2, "train/b"),
      ...numbered(1, "val/a"),
      ...numbered(1, "val/b"),
    });
    const { train, val } = await openDataset(path);
    expect([train.length, val.length, train.classes]).toEqual([5, 2, ["a", "b"]]);
    const other = await folder({ ...numbered(4, "a"), ...numbered(4, "b") });
    expect((await openDataset(path, { val: other })).val.length).toBe(8);
    expect((await openDataset(other, { val: path })).val.length).toBe(2);
  });

  test.skipIf(process.platform === "win32")("links are followed, and one that leads back up is not", async () => {
    const path = await folder({ "a/1.png": image, "b/1.png": image });
    await symlink(join(path, "a"), join(path, "c"));
    await symlink(path, join(path, "a", "up"));
    const { train } = await openDataset(path, { holdOut: 0 });
    expect(list(train, path)).toEqual(["a: a/1.png", "b: b/1.png", "c: c/1.png"]);
    // To nowhere: an image is missed when it is read, anything else at once.
    await symlink(join(path, "nowhere"), join(path, "b", "2.png"));
    const { train: more } = await openDataset(path, { holdOut: 0 });
    expect(more.nameOf(2)).toBe(`${path}/b/2.png`);
    await expect(more.read(2)).rejects.toThrow("no such file or folder");
    await symlink(join(path, "nowhere"), join(path, "b", "text"));
    const opened = await openDataset(path, { holdOut: 0 });
    expect(left(opened, path)).toEqual(["2 circular link: a/up", "1 dangling link: b/text"]);
  });

  test.skipIf(process.platform === "win32")("pipes are passed by", async () => {
    const path = await folder({ "a/1.png": image, "b/1.png": image });
    expect(Bun.spawnSync(["mkfifo", join(path, "a", "pipe")]).exitCode).toBe(0);
    const opened = await openDataset(path, { holdOut: 0 });
    expect(opened.train.length).toBe(2);
    expect(left(opened, path)).toEqual(["1 pipe: a/pipe"]);
  });

  test("what can't be used is refused with a reason", async () => {
    const [nothing, single] = [await folder({ "readme/.x": "" }), await folder(numbered(3, "cat"))];
    expect(await complaint(openDataset(join(root, "nowhere")))).toStartWith(
      `${join(root, "nowhere")} does not exist: expected a folder`,
    );
    expect(await complaint(openDataset(nothing))).toStartWith(`${nothing} is empty: `);
    expect(await complaint(openDataset(single))).toStartWith(`${single} has a single class (cat)`);
    const texts = await folder({ "a/1.txt": "x", "b/1.txt": "y" });
    expect(await complaint(openDataset(texts))).toStartWith(
      `${texts} has 2 files, but no class folder with JPEG, PNG or WebP`,
    );
    const singles = await folder({ "a/1.png": image, "b/1.png": image });
    expect(await complaint(openDataset(singles))).toContain("none can be held out for validation");
    const mismatch = await folder({
      ...numbered(1, "train/a"),
      ...numbered(1, "train/b"),
      ...numbered(1, "val/a"),
      ...numbered(1, "val/c"),
    });
    const message = await complaint(openDataset(mismatch));
    expect(message).toContain(`${mismatch}/val lacks "b"`);
    expect(message).toContain(`${mismatch}/train lacks "c"`);
    expect(await complaint(readImage(join(root, "nowhere.jpg")))).toStartWith("can't read the image");
  });
});

describe("tar", () => {
  test("reads what a folder would give, in the same order", async () => {
    const path = await archive(
      { path: "set/b/2.png", contents: image },
      { path: "set/", type: "5" },
      { path: "set/b/1.png", contents: await plain(7) },
      { path: "./set/a/1.png", contents: image },
      { path: "set/b/notes.txt", contents: "text" },
      { path: "set/b/link.png", type: "2", size: 700, link: "nowhere" },
    );
    const opened = await openDataset(path, { holdOut: 0 });
    const { train } = opened;
    expect(list(train, path)).toEqual(["a: set/a/1.png", "b: set/b/1.png", "b: set/b/2.png"]);
    expect(left(opened, path)).toEqual(["1 other file: set/b/notes.txt", "1 dangling link: set/b/link.png"]);
    expect(await train.read(1)).toEqual({ kind: "encoded", bytes: new Uint8Array(await plain(7)) });
    await train.close();
  });

  test("train/ and val/ below one more folder, with texts beside them", async () => {
    const path = await archive(
      { path: "readme.txt", contents: "text" },
      { path: "set/list.csv", contents: "text" },
      ...["train/a", "train/b", "val/a", "val/b"].map((name) => ({ path: `set/${name}/1.png`, contents: image })),
    );
    const { train, val } = await openDataset(path);
    expect([list(train, path), list(val, path)]).toEqual([
      ["a: set/train/a/1.png", "b: set/train/b/1.png"],
      ["a: set/val/a/1.png", "b: set/val/b/1.png"],
    ]);
    await train.close();
    await val.close();
    await expect(train.read(0)).rejects.toThrow();
  });

  test("long names: ustar prefix, GNU, pax", async () => {
    const long = `${"x".repeat(120)}.png`;
    const path = await archive(
      { path: "1.png", prefix: "set/a", contents: image },
      gnuLongName(`set/b/${long}`),
      { path: "cut.png", contents: image },
      pax({ comment: "none", path: `set/ü/${long}` }),
      { path: "cut.png", contents: image },
      { path: "set/ü/2.png", contents: image },
    );
    const { train } = await openDataset(path, { holdOut: 0 });
    expect(list(train, path)).toEqual(["a: set/a/1.png", `b: set/b/${long}`, "ü: set/ü/2.png", `ü: set/ü/${long}`]);
    await train.close();
  });

  test("paths that lead elsewhere are only left out", async () => {
    const path = await archive(
      { path: "../../etc/1.png", contents: image },
      { path: "/a/1.png", contents: image },
      { path: "b/../../x.png", contents: image },
      { path: "b/1.png", contents: image },
    );
    const { train } = await openDataset(path, { holdOut: 0 });
    expect(list(train, path)).toEqual(["a: a/1.png", "b: b/1.png"]);
    await train.close();
  });

  test("damage is named with its place", async () => {
    const whole = tar({ path: "a/1.png", contents: new Uint8Array(3000) }, { path: "b/1.png", contents: image });
    const write = async (bytes: Uint8Array) => file(bytes);
    const short = await write(whole.subarray(0, 2000));
    expect(await complaint(openDataset(short))).toBe(
      `${short} is truncated: it ends at byte 2000, but a/1.png extends to byte 3512: copy or download it again`,
    );
    const shorter = await write(whole.subarray(0, 3584 + 100));
    expect(await complaint(openDataset(shorter))).toContain("but a header at byte 3584 extends to byte 4096");
    // Broken off between two members, and in the zeros that fill up a member's last block.
    expect(await complaint(openDataset(await write(whole.subarray(0, 3584))))).toContain("but the empty block at its");
    expect(await complaint(openDataset(await write(whole.subarray(0, 3550))))).toContain("but the empty block at its");
    expect(await complaint(openDataset(await write(Buffer.from("short"))))).toContain("it is not a tar archive");
    const odd = tar(pax({ size: "7.5" }), { path: "a/1.png", contents: image });
    expect(await complaint(openDataset(await write(odd)))).toContain("no valid size for a/1.png");
    const flipped = Buffer.from(whole);
    flipped[3590]! ^= 1;
    expect(await complaint(openDataset(await write(flipped)))).toContain("no tar header at byte 3584: it is damaged");
    const large = Buffer.from(tar({ ...gnuLongName("n".repeat(70_000)) }));
    expect(await complaint(openDataset(await write(large)))).toContain("a file name of 70001 bytes");
    expect(await complaint(openDataset(await write(Buffer.from("a text file".repeat(100)))))).toContain(
      "it is not a tar archive",
    );
    expect(await complaint(openDataset(await write(Buffer.from("PK\x03\x04"))))).toContain("is a zip archive");
    expect(await complaint(openDataset(await write(new Uint8Array(0))))).toContain("is empty");
  });
});

describe("CIFAR, binary", () => {
  const batch = (labels: readonly number[], labelBytes = 1) =>
    Buffer.concat(
      labels.map((label) =>
        Buffer.concat([
          Buffer.alloc(labelBytes - 1),
          Buffer.from([label]),
          Buffer.alloc(1024, 10),
          Buffer.alloc(1024, 20),
          Buffer.alloc(1024, label),
        ]),
      ),
    );
  const names = "plane\ncar\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

  test("CIFAR-10 in a folder and in a tar", async () => {
    const files = {
      "data_batch_1.bin": batch([3, 9]),
      "data_batch_2.bin": batch([0]),
      "test_batch.bin": batch([5]),
      "batches.meta.txt": names,
    };
    const inTar = await archive(
      ...Object.entries(files).map(([path, contents]) => ({ path: `cifar-10-batches-bin/${path}`, contents })),
    );
    for (const path of [await folder(files), inTar]) {
      const { train, val } = await openDataset(path);
      expect([train.length, val.length, train.classes[9], train.imageSize]).toEqual([3, 1, "truck", 32]);
      expect([0, 1, 2].map((i) => train.label(i))).toEqual([3, 9, 0]);
      const sample = await train.read(1);
      if (sample.kind !== "pixels") throw new Error("expected pixels");
      expect([sample.pixels.length, ...sample.pixels.subarray(3069)]).toEqual([3072, 10, 20, 9]);
      await train.close();
    }
  });

  test("CIFAR-100 by its fine labels; damage", async () => {
    const path = await folder({ "train.bin": batch([99, 4], 2), "test.bin": batch([7], 2) });
    const { train } = await openDataset(path);
    expect([train.classes.length, train.label(0), train.label(1)]).toEqual([100, 99, 4]);
    const damaged = await folder({ "data_batch_1.bin": batch([1]).subarray(1), "test_batch.bin": batch([1]) });
    expect(await complaint(openDataset(damaged))).toContain("3072 bytes, not a multiple of 3073");
    const wrong = await folder({ "data_batch_1.bin": batch([10]), "test_batch.bin": batch([1]) });
    expect(await complaint(openDataset(wrong))).toContain("label 10 at byte 0");
    expect(await complaint(openDataset(await folder({ data_batch_1: "pickle" })))).toContain("binary version");
    const part = await folder({ "data_batch_1.bin": batch([1]) });
    expect(await complaint(openDataset(part))).toBe(
      `${part} holds part of CIFAR-10, but lacks test_batch.bin: unpack the whole archive`,
    );
  });
});

const DATA = process.env["TEST_DATA"];
describe.skipIf(!DATA)("real sets (TEST_DATA)", () => {
  test("ants and bees", async () => {
    const path = join(DATA!, "ants-bees");
    const opened = await openDataset(path);
    const { train, val } = opened;
    expect([train.classes, train.length, val.length]).toEqual([["ants", "bees"], 244, 153]);
    expect(left(opened, path)).toEqual(["1 other format: train/ants/imageNotFound.gif"]);
  });

  test("CIFAR-10 in a tar", async () => {
    const { train, val } = await openDataset(join(DATA!, "cifar10-test.tar"));
    expect([train.length, val.length, train.classes.length, train.classes[0]]).toEqual([9000, 1000, 10, "airplane"]);
    await train.close();
  });
});
