/** What parts of a set are called, in folders, archives, shards and lists alike, and what becomes of parts that aren't used. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import { inWords } from "../../src/data/remarks.ts";
import { splitAmong, splitOf } from "../../src/data/sources/splits.ts";
import { temporaryFolder, type Files } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { complaint, left, list, maker } from "../support/sets.ts";
import { tarOf } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder, file } = maker(root);

let image: Uint8Array;
beforeAll(async () => {
  image = await plain(100);
});

/** An image for each of these paths. */
const images = (...paths: string[]): Files => Object.fromEntries(paths.map((path) => [path, image]));

/** How many images each part has, its classes, and what was left alone, of a folder and of a tar of these. */
async function parts(files: Files, options: { readonly holdOut?: number } = {}) {
  const found = [];
  for (const path of [await folder(files), file(tarOf(files))]) {
    const sets = await openDataset(path, options);
    found.push({ train: list(sets.train, path), val: list(sets.val, path), left: left(sets, path) });
    await sets.train.close();
  }
  expect(found[1]).toEqual(found[0]!);
  return found[0]!;
}

test("spellings", () => {
  const train = ["train", "Training", "TRAIN", "training_set", "train-data", "Train Images", "trainset", "trn"];
  const val = ["val", "Valid", "validation", "dev", "eval", "ValidationSet", "val_images", "dev-set", "evaluation"];
  const tests = ["test", "Testing", "test_set", "TEST", "testdata", "test_imgs", "tst"];
  expect(train.map(splitOf)).toEqual(train.map(() => "train"));
  expect(val.map(splitOf)).toEqual(val.map(() => "val"));
  expect(tests.map(splitOf)).toEqual(tests.map(() => "test"));
  const none = ["", "set", "data", "images", "trains", "train1", "before", "after", "constructor", "bullet train"];
  expect(none.map(splitOf)).toEqual(none.map(() => undefined));
  expect(["train1", "x/test_v2", "set-0000", "imagenet_train-01"].map(splitAmong)).toEqual([
    "train",
    "test",
    undefined,
    "train",
  ]);
});

describe("folders and tars", () => {
  test.each([
    ["Training", "Testing"],
    ["Train", "Val"],
    ["training_set", "test_set"],
    ["train", "dev"],
    ["TRAIN", "valid"],
    ["train", "validation"],
    ["train", "eval"],
    ["train_images", "test_images"],
  ])("%s and %s are parts", async (train, val) => {
    const found = await parts(images(`${train}/a/1.png`, `${train}/b/1.png`, `${val}/a/2.png`, `${val}/b/2.png`));
    expect(found).toEqual({
      train: [`a: ${train}/a/1.png`, `b: ${train}/b/1.png`],
      val: [`a: ${val}/a/2.png`, `b: ${val}/b/2.png`],
      left: [],
    });
  });

  test("each in a folder of its own name", async () => {
    const paths = ["a", "b"].flatMap((name) => [
      `set/training_set/training_set/${name}/1.png`,
      `set/test_set/test_set/${name}/1.png`,
    ]);
    const found = await parts(images(...paths));
    expect(found.train).toEqual(["a", "b"].map((name) => `${name}: set/training_set/training_set/${name}/1.png`));
    expect(found.val).toEqual(["a", "b"].map((name) => `${name}: set/test_set/test_set/${name}/1.png`));
  });

  const train = ["train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png"];

  test("three parts: test is left alone; two of one kind are one", async () => {
    const found = await parts(
      images(...train, "val/a/3.png", "valid/b/3.png", "test/a/4.png", "Test/b/4.png", "extra/5.png", "6.png"),
    );
    expect(found.val).toEqual(["a: val/a/3.png", "b: valid/b/3.png"]);
    expect(found.left).toEqual(["2 no part: 6.png", "2 unused part: Test/b/4.png"]);
  });

  test("a part without class folders is left alone, and another one stands in", async () => {
    const flat = await parts(images(...train, "test/3.png", "test/4.png"));
    expect([flat.train.length, flat.val.length, flat.left]).toEqual([2, 2, ["2 unlabelled part: test/3.png"]]);
    const both = await parts(images(...train, "val/3.png", "test/a/4.png", "test/b/4.png"));
    expect(both.val).toEqual(["a: test/a/4.png", "b: test/b/4.png"]);
    expect(both.left).toEqual(["1 unlabelled part: val/3.png"]);
    const inverse = await folder(images("train/1.png", "test/a/1.png", "test/b/1.png"));
    expect(await complaint(openDataset(inverse))).toStartWith(
      `${inverse}/train has 1 file, but no class folder with JPEG, PNG or WebP images: expected a folder`,
    );
  });

  test("without a part to train on", async () => {
    const path = await folder(images("Valid/a/1.png", "Valid/b/1.png", "test/a/1.png", "test/b/1.png", "cover.png"));
    expect(await complaint(openDataset(path, { holdOut: 0 }))).toBe(
      `${path} has the splits Valid and test, but no train: keep one of them, or add train`,
    );
  });

  test("a class may be called train; a few that are called like parts are warned of", async () => {
    const vehicles = await parts(images("train/1.png", "car/1.png", "bus/1.png"), { holdOut: 0 });
    expect(vehicles.train.map((name) => name.split(":")[0])).toEqual(["bus", "car", "train"]);
    expect(vehicles.left).toEqual([]);
    const surgery = await parts(images("before/1.png", "after/1.png"), { holdOut: 0 });
    expect(surgery.left).toEqual([]);
    const path = await folder(images("train1/a/1.png", "test1/a/1.png"));
    const sets = await openDataset(path, { holdOut: 0 });
    expect(sets.train.classes).toEqual(["test1", "train1"]);
    expect(sets.remarks.map((remark) => inWords(remark))).toEqual([
      `2 classes named like splits (${path}/test1, …): if they are splits, name them train and val`,
    ]);
    const scenes = await parts(images("seg_train/1.png", "seg_test/1.png", "seg_pred/1.png"), { holdOut: 0 });
    expect(scenes.left).toEqual(["2 part as class: seg_test"]);
  });
});

test("shards and lists", async () => {
  const shard = (label: string) => tarOf({ "1.png": image, "1.cls": label, "2.png": image, "2.cls": "1" });
  const names = ["Training-0.tar", "test_set-0.tar", "evalset-0.tar"];
  const path = await folder(Object.fromEntries(names.map((name) => [name, shard("0")])));
  const sets = await openDataset(path);
  expect([list(sets.train, path)[0], list(sets.val, path)[0]]).toEqual([
    "0: Training-0.tar/1.png",
    "0: evalset-0.tar/1.png",
  ]);
  expect(left(sets, path)).toEqual(["2 unused part: test_set-0.tar/1.png"]);
  await sets.train.close();

  const base = await folder(images("1.png", "2.png", "3.png"));
  const listed = join(base, "list.csv");
  const lines = ["1.png,a,Training Set", "1.png,b,TRAIN", "2.png,a,Dev", "2.png,b,eval", "3.png,a,Testing"];
  await Bun.write(listed, lines.join("\n"));
  const rows = await openDataset(listed);
  expect([rows.train.length, rows.val.length, left(rows, base)]).toEqual([2, 2, ["1 unused part: 3.png"]]);
  await Bun.write(listed, lines.slice(2).join("\n"));
  expect(await complaint(openDataset(listed, { holdOut: 0 }))).toStartWith(
    `${listed} has the splits val and test, but no train`,
  );
});

test("--val in place of a part that is there", async () => {
  const both = await folder(images(...["train", "val"].flatMap((part) => [`${part}/a/1.png`, `${part}/b/1.png`])));
  const other = await folder(images("train/a/1.png", "train/b/1.png", "val/b/2.png", "val/a/2.png"));
  const sets = await openDataset(both, { val: other });
  expect([list(sets.train, both), list(sets.val, other)]).toEqual([
    ["a: train/a/1.png", "b: train/b/1.png"],
    ["a: val/a/2.png", "b: val/b/2.png"],
  ]);
  expect(sets.remarks).toEqual([
    { kind: "unused part", count: 2, example: `${both}/val/a/1.png` },
    { kind: "unused part", count: 2, example: `${other}/train/a/1.png` },
  ]);
});

test("--val with its classes in another order has the numbers of the part to train on", async () => {
  const shard = tarOf({ "1.png": image, "1.cls": "0", "2.png": image, "2.cls": "1" });
  const path = await folder({ "train.tar": shard, "classes.txt": "zebra\nape\n" });
  const other = await folder(images("ape/1.png", "zebra/1.png"));
  const { train, val } = await openDataset(path, { val: other });
  expect([train.classes, val.classes]).toEqual([
    ["zebra", "ape"],
    ["zebra", "ape"],
  ]);
  expect(list(val, other)).toEqual(["ape: ape/1.png", "zebra: zebra/1.png"]);
  expect([0, 1].map((i) => val.label(i))).toEqual([1, 0]);
  await train.close();
});
