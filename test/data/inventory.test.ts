/** What a set held before, compared with what it holds: in folders, archives, lists, packs and CIFAR's files. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dataset } from "../../src/data/dataset.ts";
import { compareInventories, divide, inventoryText, parseInventory, takeInventory } from "../../src/data/inventory.ts";
import { openDataset, type OpenOptions } from "../../src/data/open.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { temporaryFolder, type Files } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { maker } from "../support/sets.ts";
import { tarOf } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder, file } = maker(root);

let red: Uint8Array;
let blue: Uint8Array;
let photos: Files;
beforeAll(async () => {
  [red, blue] = [await plain(200, 10, 10), await plain(10, 10, 200, 9)];
  expect(red.length).not.toBe(blue.length);
  const names = Array.from({ length: 20 }, (_, i) => `${i + 10}.png`);
  photos = Object.fromEntries(names.flatMap((name) => [[`a/${name}`, red] as const, [`b/${name}`, blue] as const]));
});

async function inventory(path: string, options: OpenOptions = {}) {
  const opened = await openDataset(path, options);
  const taken = await takeInventory(opened);
  await opened.train.close();
  await opened.val.close();
  return taken;
}

/** How the second set is said to differ from the first. */
async function changes(before: string, after: string, options: OpenOptions = {}) {
  const [then, now] = [await inventory(before, options), await inventory(after, options)];
  return compareInventories(then, now).changes;
}

const without = (files: Files, ...names: string[]): Files =>
  Object.fromEntries(Object.entries(files).filter(([name]) => !names.includes(name)));

describe("a folder", () => {
  test("that is where it was, or has moved, is the same, to the byte", async () => {
    const [here, there] = [await folder(photos), await folder(photos)];
    const texts = await Promise.all([here, here, there].map(async (path) => inventoryText(await inventory(path))));
    expect(texts[1]).toBe(texts[0]!);
    expect(texts[2]).toBe(texts[0]!);
    expect(texts[0]).toStartWith('{"format":"alexnet-images-1","classes":["a","b"],"train":36,"isHeldOut":true}\n["a/');
    expect(parseInventory(texts[0]!)).toEqual(await inventory(here));
  });

  const differences: readonly [string, (files: Files) => Files, string][] = [
    [
      "images are added",
      (files) => ({ ...files, "b/99.png": red, "b/98.png": red, "a/99.png": red }),
      '3 added; first a/99.png of class "a", which is new',
    ],
    [
      "images are removed",
      (files) => without(files, "b/10.png", "b/11.png"),
      '2 removed; first b/10.png of class "b", which is gone',
    ],
    [
      "an image is renamed",
      (files) => ({ ...without(files, "a/10.png"), "a/9.png": red }),
      '1 added, 1 removed; first a/10.png of class "a", which is gone',
    ],
    [
      "an image is moved to another class",
      (files) => ({ ...without(files, "a/10.png"), "c/10.png": red }),
      '1 moved to another class; first a/10.png of class "a", which is now c/10.png',
    ],
    [
      "an image is exchanged",
      (files) => ({ ...files, "b/12.png": red }),
      `1 changed; first b/12.png of class "b", which has RED bytes and had BLUE`,
    ],
    [
      "class folders are exchanged",
      (files) =>
        Object.fromEntries(
          Object.entries(files).map(([name, bytes]) => [(name[0] === "a" ? "b" : "a") + name.slice(1), bytes]),
        ),
      `40 changed; first a/10.png of class "a", which has BLUE bytes and had RED`,
    ],
    [
      "there is another class",
      (files) => ({ ...files, "aa/10.png": red, "aa/11.png": red }),
      '2 added; first aa/10.png of class "aa", which is new',
    ],
  ];
  for (const [title, change, expected] of differences) {
    test(title, async () => {
      const said = await changes(await folder(photos), await folder(change(photos)));
      expect(said).toBe(expected.replace("RED", `${red.length}`).replace("BLUE", `${blue.length}`));
    });
  }

  test("with parts of its own: an image changes sides", async () => {
    const parts = (train: Files, val: Files): Files =>
      Object.fromEntries(
        Object.entries({ train, val }).flatMap(([part, files]) =>
          Object.entries(files).map(([name, bytes]) => [`${part}/${name}`, bytes]),
        ),
      );
    const few = { "a/1.png": red, "b/1.png": blue };
    expect(await changes(await folder(parts(photos, few)), await folder(parts(photos, few)))).toBeUndefined();
    const moved = await folder(parts(without(photos, "a/10.png"), { ...few, "a/10.png": red }));
    expect(await changes(await folder(parts(photos, few)), moved)).toBe(
      '1 moved to the other split; first train/a/10.png of class "a", which is now val/a/10.png',
    );
  });

  test("beside another one to validate with, whose images have the same names", async () => {
    const [data, val] = [await folder(photos), await folder(without(photos, "b/10.png"))];
    const then = await inventory(data, { val });
    expect(compareInventories(then, await inventory(data, { val: await folder(photos) })).changes).toBe(
      '1 added; first val: b/10.png of class "b", which is new',
    );
    expect(compareInventories(then, await inventory(await folder(photos), { val })).changes).toBeUndefined();
  });
});

describe("an archive", () => {
  for (const [kind, ending, packed] of [
    ["tar", ".tar", (bytes: Uint8Array) => bytes],
    ["tar.gz", ".tar.gz", (bytes: Uint8Array) => Bun.gzipSync(Uint8Array.from(bytes))],
  ] as const) {
    test(kind, async () => {
      const [before, moved] = [file(packed(tarOf(photos)), ending), file(packed(tarOf(photos)), ending)];
      expect(inventoryText(await inventory(moved))).toBe(inventoryText(await inventory(before)));
      expect(await changes(before, file(packed(tarOf({ ...photos, "a/10.png": blue })), ending))).toMatch(
        /^1 changed; first a\/10\.png of class "a", which has \d+ bytes and had \d+$/,
      );
      // As a folder the set is the same one.
      expect(await changes(before, await folder(photos))).toBeUndefined();
    });
  }
});

describe("a list", () => {
  const lines = () => Object.keys(photos).map((name, i) => `${name},${i % 3 ? "odd" : "even"}`);
  const listed = async (rows: readonly string[]) => {
    const path = await folder(photos);
    writeFileSync(
      join(path, "list.csv"),
      `path,label${rows[0]!.split(",").length > 2 ? ",split" : ""}\n${rows.join("\n")}\n`,
    );
    return join(path, "list.csv");
  };

  test("in another order is the same set, and divided as before", async () => {
    const [before, after] = [await listed(lines()), await listed(lines().toReversed())];
    const then = await inventory(before);
    const opened = await openDataset(after);
    const now = await takeInventory(opened);
    const { places, changes: said } = compareInventories(then, now);
    expect(said).toBeUndefined();
    const all = Array.from(places);
    const { classes, train } = then;
    const divided = divide(opened, { classes, train: all.slice(0, train), val: all.slice(train) });
    const namesOf = (set: Dataset) =>
      Array.from({ length: set.length }, (_, i) => set.nameOf(i).slice(after.length - 8));
    expect([...namesOf(divided.train), ...namesOf(divided.val)]).toEqual(then.images.map(([name]) => name));
    expect(namesOf(divided.val)).not.toEqual(namesOf(opened.val));
    // Its images are those of their names.
    for (let i = 0; i < divided.val.length; i++) {
      const [name, label] = then.images[train + i]!;
      expect(divided.val.label(i)).toBe(label);
      const image = await divided.val.read(i);
      expect(image).toMatchObject({ kind: "encoded", bytes: Buffer.from(photos[name] as Uint8Array) });
      expect(readFileSync(divided.val.place!(i).path)).toEqual(Buffer.from(photos[name] as Uint8Array));
    }
    await divided.train.close();
  });

  test("with another label, or another split", async () => {
    const other = lines().map((line) => (line.startsWith("a/10.png") ? "a/10.png,odd" : line));
    expect(await changes(await listed(lines()), await listed(other))).toBe(
      '1 moved to another class; first a/10.png of class "even", which is now of class "odd"',
    );
    const split = lines().map((line, i) => `${line},${i < 30 ? "train" : "val"}`);
    const [, , third] = split;
    const moved = split.map((line) => (line === third ? line.replace(",train", ",val") : line));
    expect(await changes(await listed(split), await listed(moved))).toBe(
      `1 moved to the other split; first ${third!.split(",")[0]} of class "odd", which is now for validation`,
    );
  });

  test("that has an image twice", async () => {
    const [first, ...rest] = lines();
    const twice = [first!, first!, ...rest];
    expect(await changes(await listed(twice), await listed([...rest, first!, first!]))).toBeUndefined();
    expect(await changes(await listed(twice), await listed(lines()))).toBe(
      '1 removed; first a/10.png of class "even", which is gone',
    );
  });
});

test("a pack is known by its checksums, wherever it lies", async () => {
  const data = await folder(photos);
  const packs = ["pack", "repacked"].map((name) => join(root, name));
  const options = { data, side: 16, shard: 8, threads: 1, encoding: "raw" } as const;
  await pack({ ...options, out: packs[0]! });
  writeFileSync(join(data, "a/10.png"), await plain(201, 10, 10));
  await pack({ ...options, out: packs[1]! });
  cpSync(packs[0]!, join(root, "moved"), { recursive: true });
  expect(await changes(packs[0]!, join(root, "moved"))).toBeUndefined();
  expect(await changes(packs[0]!, packs[1]!)).toMatch(
    /^1 changed; first .*a\/10\.png of class "a", whose contents differ$/,
  );
});

test("CIFAR's files: another label, and records less", async () => {
  const records = (count: number, label = 0) => {
    const bytes = new Uint8Array(count * 3073);
    for (let i = 0; i < count; i++) bytes[i * 3073] = i === 3 ? label : i % 10;
    return bytes;
  };
  const set = (train: Uint8Array) => folder({ "data_batch_1.bin": train, "test_batch.bin": records(10) });
  const before = await set(records(20, 3));
  expect(await changes(before, await set(records(20, 3)))).toBeUndefined();
  expect(await changes(before, await set(records(20, 4)))).toBe(
    '1 moved to another class; first data_batch_1.bin record 3 of class "3", which is now of class "4"',
  );
  expect(await changes(before, await set(records(18, 3)))).toBe(
    '2 removed; first data_batch_1.bin record 18 of class "8", which is gone',
  );
});

test("a file that can't be looked at has no size; its names may hold anything", async () => {
  const path = await folder({ ...photos, 'a/"\n,\\.png': red });
  const opened = await openDataset(path);
  renameSync(join(path, "a"), join(path, "gone"));
  const now = await takeInventory(opened);
  expect(now.images.filter(([, , size]) => size === 0).length).toBe(21);
  expect(now.images.filter(([, , size]) => size === blue.length).length).toBe(20);
  expect(now.images.some(([name]) => name === 'a/"\n,\\.png')).toBe(true);
  expect(parseInventory(inventoryText(now))).toEqual(now);
  rmSync(path, { recursive: true });
});

test("a file that is no inventory is refused", () => {
  const head = { format: "alexnet-images-1", classes: ["a"], train: 1, isHeldOut: true };
  const text = (of: object, ...lines: unknown[]) => [of, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("");
  expect(parseInventory(text(head, ["x", 0, 7])).images).toEqual([["x", 0, 7]]);
  expect(() => parseInventory("")).toThrow();
  expect(() => parseInventory(text({ ...head, format: "2" }))).toThrow('its format is "2", not "alexnet-images-1"');
  expect(() => parseInventory(text(head))).toThrow("1 of its 0 images are said to be for training");
  for (const item of [["x", 1, 7], ["x", 0], [7, 0, 7], ["x", -1, 7], ["x", 0, null], {}, null]) {
    expect(() => parseInventory(text(head, item))).toThrow("image 0 is invalid");
  }
  for (const of of [
    { ...head, classes: 7 },
    { ...head, classes: [7] },
    { ...head, isHeldOut: 1 },
  ]) {
    expect(() => parseInventory(text(of))).toThrow("its first line is invalid");
  }
  expect(() => parseInventory(text(head, ["x", 0, 7]).slice(0, -4))).toThrow();
});
