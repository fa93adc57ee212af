import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import { temporaryFolder, type Files } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { bytesOf, complaint, left, list, maker } from "../support/sets.ts";
import { tar } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder, file } = maker(root);

let images: Uint8Array[];
beforeAll(async () => {
  images = await Promise.all([10, 20, 30, 40].map((grey) => plain(grey)));
});

const shard = (files: Files) => tar(...Object.entries(files).map(([path, contents]) => ({ path, contents })));
const whole = { holdOut: 0 };

test("one shard: numbers in .cls; names beside it", async () => {
  const bytes = shard({
    "a.1.cls": "2",
    "a.1.jpg": "the key ends at the last dot",
    "b/x.cls": "0\n",
    "b/x.png": images[0]!,
    "b/y.seg.webp": images[1]!,
    "b/y.cls": "10",
    "lonely.jpg": images[2]!,
  });
  const single = file(bytes);
  const opened = await openDataset(single, whole);
  const { train } = opened;
  expect([train.length, train.classes.length, train.classes[10]]).toEqual([3, 11, "10"]);
  expect(left(opened, single)).toEqual(["1 unlabelled image: lonely.jpg"]);
  expect([0, 1, 2].map((i) => train.label(i))).toEqual([2, 0, 10]);
  expect((await bytesOf(train, 2)).equals(images[1]!)).toBe(true);
  await train.close();

  const twelve = Array.from({ length: 12 }, (_, k) => `class ${k % 11}`);
  const lists: Files[] = [{ "classes.txt": twelve.join("\r\n") }, { "classes.json": JSON.stringify(twelve) }];
  for (const names of lists) {
    const path = await folder({ "set.tar": bytes, ...names });
    for (const given of [path, join(path, "set.tar")]) {
      const { train: named } = await openDataset(given, whole);
      expect([named.classes.length, named.classes[10], named.classes[11]]).toEqual([12, "class 10", "class 0 (11)"]);
      await named.close();
    }
  }
});

test("JSON: a number, a name, or both", async () => {
  const read = async (...labels: unknown[]) => {
    const entries = labels.flatMap((label, k) => [
      [`${k}.jpg`, images[k % 4]!] as const,
      [`${k}.json`, JSON.stringify(label)] as const,
    ]);
    const { train } = await openDataset(file(shard(Object.fromEntries(entries))), whole);
    await train.close();
    return Array.from({ length: train.length }, (_, i) => train.classes[train.label(i)]);
  };
  expect(await read({ label: 1 }, { cls: 0 }, { label: 1, width: 5 })).toEqual(["1", "0", "1"]);
  expect(await read({ label: "dog" }, { class: "cat" }, { class_name: "Ä" })).toEqual(["dog", "cat", "Ä"]);
  expect(await read({ label: 1, class_name: "dog" }, { label: 0, class_name: "cat" })).toEqual(["dog", "cat"]);
  expect(await read({ label: "n01440764" }, { label: "n01443537" })).toEqual([
    "tench, Tinca tinca",
    "goldfish, Carassius auratus",
  ]);
  expect(await complaint(read({ label: 1, class_name: "dog" }, { label: 1, class_name: "cat" }))).toMatch(
    /1\.json: class 1 is called "cat", but "dog" elsewhere$/,
  );
  expect(await complaint(read({ label: 1 }, { label: "cat" }))).toMatch(
    /0\.json gives the class as number 1, but .*1\.json as "cat": use numbers or names for all$/,
  );
  expect(await complaint(read({ label: 1 }, { label: 4_000_000_000 }))).toMatch(
    /1\.json: class 4000000000: numbers must be from 0 to 99999$/,
  );
  expect(await complaint(read({ label: 1 }, { size: 5 }))).toMatch(/1\.json has no "label", "cls" or "class"/);
  // Without a label in the first it is something else, and so class folders are looked for.
  expect(await complaint(read({ size: 5 }, { label: 1 }))).toContain("no class folder");
});

test("a number in .cls and its name in .json", async () => {
  const files = {
    "1.cls": "1",
    "1.json": '{"class_name": "dog"}',
    "1.jpg": images[0]!,
    "0.cls": "0",
    "0.jpg": images[1]!,
  };
  const { train } = await openDataset(file(shard(files)), whole);
  expect(train.classes).toEqual(["0", "dog"]);
  await train.close();
});

test("parts by the shards' names or folders, read in the order of the shards", async () => {
  const one = (key: string, cls: number, k: number) => ({ [`${key}.cls`]: `${cls}`, [`${key}.png`]: images[k]! });
  const contents = {
    a: shard({ ...one("k2", 1, 0), ...one("k1", 0, 1) }),
    b: shard(one("k1", 1, 2)),
    c: shard({ ...one("k9", 1, 3), ...one("k8", 0, 2) }),
  };
  const layouts = [
    ["set-train-000000.tar", "set-train-000001.tar", "set-val-000000.tar", "notes.txt"],
    ["train/00.tar", "train/01.tar", "validation/00.tar", "README"],
    ["imagenet_train-0.tar", "imagenet_train-1.tar", "imagenet_test-0.tar", "classes"],
  ] as const;
  for (const [a, b, c, other] of layouts) {
    const path = await folder({ [a]: contents.a, [b]: contents.b, [c]: contents.c, [other]: "text" });
    const { train, val } = await openDataset(path);
    expect(list(train, path)).toEqual([`1: ${a}/k2.png`, `0: ${a}/k1.png`, `1: ${b}/k1.png`]);
    expect(list(val, path)).toEqual([`1: ${c}/k9.png`, `0: ${c}/k8.png`]);
    expect((await bytesOf(train, 2)).equals(images[2]!)).toBe(true);
    expect((await bytesOf(val, 0)).equals(images[3]!)).toBe(true);
    await train.close();
    await val.close();
    await expect(train.read(0)).rejects.toThrow();
  }
  const path = await folder({ "train-0.tar": contents.a, "other.tar": contents.b });
  expect(await complaint(openDataset(path))).toBe(
    `${path}/other.tar/k1.png is in no split, but others are: name its shard train-… or val-…, or move it there`,
  );
});

test("what is no shard is left to others; what is large is no label", async () => {
  const plainTar = tar({ path: "a/1.png", contents: images[0]! });
  const path = await folder({ "a/1.png": images[0]!, "b/1.png": images[1]!, "old.tar": plainTar });
  expect((await openDataset(path, whole)).train.classes).toEqual(["a", "b"]);
  const large = file(shard({ "1.cls": "1".repeat(70_000), "1.jpg": images[0]! }));
  expect(await complaint(openDataset(large, whole))).toEndWith("1.cls has more than 65536 bytes: it is not a label");
  const bad = await folder({ "set.tar": shard({ "1.cls": "7", "1.jpg": images[0]! }), "classes.txt": "one\ntwo\n" });
  expect(await complaint(openDataset(bad, whole))).toEndWith("set.tar/1.cls: class 7: numbers must be from 0 to 1");
});

describe("one image a sample, with its own label", () => {
  const opened = async (files: Files) => {
    const path = file(shard(files));
    const sets = await openDataset(path, whole);
    const bytes = await Promise.all(Array.from({ length: sets.train.length }, (_, i) => bytesOf(sets.train, i)));
    await sets.train.close();
    const of = bytes.map((each) => images.findIndex((own) => each.equals(own)));
    return { images: list(sets.train, path).map((name, i) => `${name} = ${of[i]}`), left: left(sets, path) };
  };

  test("keys with dots", async () => {
    const numbered = [0, 1, 2, 3].flatMap((k) => [
      [`clip_1.${k}.jpg`, images[k]!] as const,
      [`clip_1.${k}.cls`, `${k % 2}`] as const,
    ]);
    expect(await opened(Object.fromEntries(numbered))).toEqual({
      images: [0, 1, 2, 3].map((k) => `${k % 2}: clip_1.${k}.jpg = ${k}`),
      left: [],
    });
    // Without a label of its own a frame is not given that of its clip.
    const lone = { "clip_1.0.jpg": images[0]!, "clip_1.cls": "1", "v1.0/a.jpg": images[1]!, "v1.0/a.CLS": "0" };
    expect(await opened(lone)).toEqual({
      images: ["0: v1.0/a.jpg = 1"],
      left: ["1 unlabelled image: clip_1.0.jpg", "1 lone label: clip_1.cls"],
    });
  });

  test("masks and second images are left alone", async () => {
    const sample = (key: string, ...endings: string[]): Files => ({
      ...Object.fromEntries(endings.map((ending, k) => [`${key}.${ending}`, images[k]!])),
      [`${key}.cls`]: "0",
      [`${key}.txt`]: "what is seen",
    });
    const found = await opened({
      ...sample("0", "mask.png", "jpg"),
      ...sample("1", "webp", "png", "jpeg", "JPG"),
      ...sample("2", "image.png"),
      ...sample("3", "mask.png"),
      ...sample("4"),
    });
    expect(found).toEqual({
      images: ["0: 0.jpg = 1", "0: 1.JPG = 3", "0: 2.image.png = 0"],
      left: ["5 other file: 0.txt", "5 second image: 0.mask.png", "2 lone label: 3.cls"],
    });
    const path = file(shard(sample("5", "left.png", "right.png")));
    expect(await complaint(openDataset(path, whole))).toStartWith(
      `${path}/5.left.png and ${path}/5.right.png are images of the same sample: name the one to use .jpg or .png`,
    );
  });

  test("class folders may have other JSON beside their images", async () => {
    const beside = { "1.json": "{}", "1.left.png": images[0]!, "1.right.png": images[1]! };
    const files = Object.fromEntries(
      ["a", "b"].flatMap((name) => Object.entries(beside).map(([file, contents]) => [`${name}/${file}`, contents])),
    );
    const found = await opened(files);
    expect(found.images.length).toBe(4);
    expect(found.left).toEqual(["2 other file: a/1.json"]);
  });

  test("keys that are there twice", async () => {
    const one = (cls: string, k: number) => [
      { path: "1.jpg", contents: images[k]! },
      { path: "1.cls", contents: cls },
    ];
    const path = file(tar(...one("0", 0), ...one("1", 1)));
    expect(await complaint(openDataset(path, whole))).toStartWith(
      `${path}/1.cls occurs twice, so labels are ambiguous: give each sample a name of its own`,
    );
    // In shards of their own they are two.
    const two = await folder({ "a.tar": tar(...one("0", 0)), "b.tar": tar(...one("1", 1)) });
    const { train } = await openDataset(two, whole);
    expect(list(train, two)).toEqual(["0: a.tar/1.jpg", "1: b.tar/1.jpg"]);
    await train.close();
  });

  test("links are samples like others", async () => {
    const path = file(
      tar(
        { path: "0.jpg", contents: images[0]! },
        { path: "0.cls", contents: "0" },
        { path: "1.jpg", type: "2", link: "0.jpg" },
        { path: "1.cls", type: "1", link: "0.cls" },
      ),
    );
    const { train } = await openDataset(path, whole);
    expect(list(train, path)).toEqual(["0: 0.jpg", "0: 1.jpg"]);
    await train.close();
  });
});
