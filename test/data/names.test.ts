/** Names of files and classes: endings, what systems leave behind, accents in either form, and bytes that are no text. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { escaped, formatByName, isOtherFormat, spelled, systemPart } from "../../src/data/names.ts";
import { openDataset } from "../../src/data/open.ts";
import { parsePack } from "../../src/data/pack.ts";
import { Reader } from "../../src/data/reading.ts";
import { namedWeights } from "../../src/data/sampling.ts";
import { temporaryFolder } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { bytesOf, complaint, left, list, maker } from "../support/sets.ts";
import { tarOf } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder, file } = maker(root);

let image: Uint8Array;
beforeAll(async () => {
  image = await plain(100);
});

const whole = { holdOut: 0 };

test("endings, in any case", () => {
  const formats = { JPEG: "a.jpg a.JPEG a.jpe b/c.d.Jfif", PNG: "a.PNG", WebP: "a.webp" };
  for (const [format, names] of Object.entries(formats)) {
    for (const name of names.split(" ")) expect([name, formatByName(name)]).toEqual([name, format]);
  }
  const none = ["a", "jpg", "a.jpg/b", "a.txt", "a.", "a.constructor"];
  expect(none.map(formatByName)).toEqual(none.map(() => undefined));
  expect(["a.HEIC", "a.gif", "a.tif", "a.txt"].map(isOtherFormat)).toEqual([true, true, true, false]);
});

test("what systems leave behind, at any depth", () => {
  const some = [".DS_Store", "._1.jpg", "__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "$RECYCLE.BIN"];
  const more = ["System Volume Information", "lost+found", ".ipynb_checkpoints", "@Recently-Snapshot", "x.lrdata"];
  for (const name of [...some, ...more]) {
    expect([name, systemPart(name), systemPart(`a/b/${name.toLowerCase()}/1.png`)]).toEqual([
      name,
      name,
      `a/b/${name.toLowerCase()}/`,
    ]);
  }
  for (const name of ["cat", "a.b", "Recycle", "thumbs", "eaDir", "lost and found", "a@eaDir"])
    expect([name, systemPart(`a/${name}/1.png`)]).toEqual([name, undefined]);
});

test("an image by any other name, in folders and tars", async () => {
  const files = {
    "a/1.jfif": image,
    "a/2.JPE": image,
    "a/3": image,
    "b/4.dat": image,
    "b/deep/5.Png": image,
    "b/6.txt": "text",
    "b/7.heic": "text",
    "b/8.gif": "GIF89a",
  };
  for (const below of ["", "one/more/"]) {
    const own = Object.fromEntries(Object.entries(files).map(([path, contents]) => [below + path, contents]));
    for (const path of [await folder(own), file(tarOf(own))]) {
      const sets = await openDataset(path, whole);
      const names = ["a/1.jfif", "a/2.JPE", "a/3", "b/4.dat", "b/deep/5.Png"];
      expect(list(sets.train, path)).toEqual(names.map((name) => `${name[0]}: ${below}${name}`));
      expect(left(sets, path)).toEqual([`1 other file: ${below}b/6.txt`, `2 other format: ${below}b/7.heic`]);
      await sets.train.close();
    }
  }
});

describe("accents, composed (NFC) or not (NFD)", () => {
  // Composed it comes behind f, in the order of bytes, and decomposed before.
  const [composed, decomposed] = ["\u00e9", "e\u0301"];

  test("a class may be spelled one way to train on and the other to validate with", async () => {
    const files = Object.fromEntries(
      [`train/${decomposed}`, "train/f", `val/${composed}`, "val/f"].map((name) => [`${name}/1.png`, image]),
    );
    for (const path of [await folder(files), file(tarOf(files))]) {
      const { train, val } = await openDataset(path);
      // In the order that the folders to train on have.
      expect([train.classes, val.classes]).toEqual([
        [composed, "f"],
        [composed, "f"],
      ]);
      expect([0, 1].map((i) => train.nameOf(i).includes(train.classes[train.label(i)]!.normalize("NFD")))).toEqual([
        true,
        true,
      ]);
      expect([0, 1].map((i) => val.nameOf(i).includes(val.classes[val.label(i)]!))).toEqual([true, true]);
      expect(namedWeights(train, { [decomposed]: 3 }, "weights")).toEqual([3, 1]);
      await train.close();
    }
  });

  // Other systems take both for one folder.
  test.skipIf(process.platform !== "linux")("both spellings side by side are one class", async () => {
    const path = await folder({ [`${composed}/1.png`]: image, [`${decomposed}/2.png`]: image, "zoo/1.png": image });
    const { train } = await openDataset(path, whole);
    expect([train.classes, [0, 1, 2].map((i) => train.label(i))]).toEqual([
      [composed, "zoo"],
      [0, 0, 1],
    ]);
  });

  test("a list finds its files and classes, whichever way it spells them", async () => {
    const base = await folder({ [`${decomposed}/${decomposed}.png`]: image, [`plain/${composed}.png`]: image });
    const rows = (a: string, b: string) => `${a}/${a}.png,${a}\nplain/${b}.png,${b}\nplain/nöne.png,x\n`;
    for (const text of [rows(composed, decomposed), rows(decomposed, composed)]) {
      const path = join(base, "list.csv");
      await Bun.write(path, text);
      const { train } = await openDataset(path, whole);
      expect(train.classes).toEqual([composed, "x"]);
      for (const i of [0, 1]) expect((await bytesOf(train, i)).equals(image)).toBe(true);
      await expect(train.read(2)).rejects.toThrow("no such file or folder");
    }
  });

  test("a pack of decomposed names has composed ones", () => {
    const axes = { values: [1, 1, 1], vectors: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] }; // prettier-ignore
    const statistics = { images: 0, channelMean: [0, 0, 0], covariance: Array(9).fill(0), axes };
    const parts = { train: { images: 0, classCounts: [0, 0], shards: [] }, val: null };
    const pack = { format: "alexnet-pack-1", side: 8, encoding: "raw", classes: [decomposed, "f"], parts, statistics };
    expect(parsePack(JSON.stringify(pack), "pack.json").classes).toEqual([composed, "f"]);
  });

  test("names in shards, and beside them", async () => {
    const shard = tarOf({
      "1.png": image,
      "1.json": JSON.stringify({ label: decomposed }),
      "2.png": image,
      "2.json": JSON.stringify({ label: composed }),
    });
    const path = await folder({ "set.tar": shard });
    const { train: unnamed } = await openDataset(path, whole);
    expect(unnamed.classes).toEqual([composed]);
    await unnamed.close();
    await Bun.write(join(path, "classes.txt"), `zoo\n${decomposed}\n`);
    const { train } = await openDataset(path, whole);
    expect([train.classes, train.label(0), train.label(1)]).toEqual([["zoo", composed], 1, 1]);
    await train.close();
  });
});

describe("names that are no UTF-8", () => {
  const odd = Buffer.concat([Buffer.from("caf"), Buffer.of(0xe9)]);

  test("are told, and shown escaped", () => {
    expect([spelled(odd), spelled(Buffer.from("é\ufffd")), escaped(odd)]).toEqual([undefined, "é\ufffd", "caf\\xe9"]);
  });

  test("are left alone in a tar", async () => {
    const member = Buffer.from(tarOf({ "a/xyzv.png": image, "a/1.png": image, "b/1.png": image }));
    // The sum of the header's bytes stays; what is a control character is shown as a space.
    member.set([0xe9, 0x79 + 0x78 - 0xe9], 2);
    const path = file(member);
    const sets = await openDataset(path, whole);
    expect(list(sets.train, path)).toEqual(["a: a/1.png", "b: b/1.png"]);
    expect(left(sets, path)).toEqual(["1 broken name: a/\\xe9 zv.png"]);
    await sets.train.close();
  });

  // macOS and Windows have none.
  test.skipIf(process.platform !== "linux")("are left alone in a folder; one that only looks so is not", async () => {
    const path = await folder({ "a/1.png": image, "b/1.png": image, "b/\ufffd.png": image });
    writeFileSync(Buffer.concat([Buffer.from(`${path}/a/`), odd, Buffer.from(".png")]), image);
    expect(Bun.spawnSync(["sh", "-c", `mkdir "$(printf 'd\\351')" && cp a/1.png d*/`], { cwd: path }).exitCode).toBe(0);
    const sets = await openDataset(path, whole);
    expect(list(sets.train, path)).toEqual(["a: a/1.png", "b: b/1.png", "b: b/\ufffd.png"]);
    expect(left(sets, path)).toEqual(["2 broken name: a/caf\\xe9.png"]);
  });
});

describe("nothing is left out in silence", () => {
  test.skipIf(process.platform === "win32")("pipes, sockets, devices and circles in a folder", async () => {
    const path = await folder({ "a/1.png": image, "b/1.png": image });
    const made = Bun.spawnSync(
      ["sh", "-c", "mkfifo a/2.png; ln -s 3.png a/3.png; ln -s /dev/null b/2.png; ln -s .. b/up"],
      {
        cwd: path,
      },
    );
    expect(made.exitCode).toBe(0);
    const socket = Bun.listen({ unix: join(path, "b", "3.png"), socket: { data() {} } });
    try {
      const sets = await openDataset(path, whole);
      expect(list(sets.train, path)).toEqual(["a: a/1.png", "b: b/1.png"]);
      expect(left(sets, path)).toEqual([
        "1 pipe: a/2.png",
        "1 socket: b/3.png",
        "1 device: b/2.png",
        "2 circular link: a/3.png",
      ]);
    } finally {
      socket.stop();
    }
    // Named in a list, they are no images, and nothing waits for them.
    await Bun.write(join(path, "list.csv"), "a/1.png,x\na/2.png,y\nb/2.png,y\n");
    const { train } = await openDataset(join(path, "list.csv"), whole);
    await expect(train.read(1)).rejects.toThrow("a/2.png: it is a pipe");
    await expect(train.read(2)).rejects.toThrow("b/2.png: it is a device");
    const reader = new Reader();
    for (const [i, kind] of ["pipe", "device"].entries())
      expect(() => reader.read(train.place!(1 + i))).toThrow(`it is a ${kind}`);
    reader.close();
    expect(await complaint(openDataset(join(path, "a", "2.png")))).toEndWith(
      "2.png is a pipe, and images are read out of order: save it to a file",
    );
  });

  test("an error says what was left alone, which may be its reason", async () => {
    const path = await folder({
      "a/1.png": image,
      "a/2.png": image,
      "b/1.heic": "x",
      "b/2.heic": "x",
      "@eaDir/1.png": image,
    });
    expect(await complaint(openDataset(path))).toMatch(
      /^\S+ has a single class \(a\), so .*; ignored: 2 images in unsupported formats \(\S+b\/1\.heic, …\); ignored: 1 hidden or system item \(\S+@eaDir\/\)$/,
    );
  });

  test("images beside class folders, and beside CIFAR's files", async () => {
    const path = await folder({ "a/1.png": image, "b/1.png": image, "cover.png": image });
    expect(left(await openDataset(path, whole), path)).toEqual(["1 no class: cover.png"]);
    const record = Buffer.alloc(3073);
    const cifar = await folder({
      "data_batch_1.bin": record,
      "test_batch.bin": record,
      "readme.html": "x",
      "1.png": image,
    });
    expect(left(await openDataset(cifar), cifar)).toEqual(["1 other file: 1.png"]);
  });
});
