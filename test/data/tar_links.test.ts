/** Links in a .tar: the same images as in the folder that it was made of, and nothing from outside of it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { link, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import { temporaryFolder } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { bytesOf, complaint, left, list, maker } from "../support/sets.ts";
import { gnuLongName, pax, tar, type Member } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder, file } = maker(root);

let images: Uint8Array[];
beforeAll(async () => {
  images = await Promise.all([10, 20, 30].map((grey) => plain(grey)));
});

const image = (path: string, k = 0): Member => ({ path, contents: images[k]! });
const hard = (path: string, target: string): Member => ({ path, type: "1", link: target });
const symbolic = (path: string, target: string): Member => ({ path, type: "2", link: target });

/** What a tar of these gives: its images, and what was left alone. */
async function opened(...members: Member[]) {
  const path = file(tar(...members));
  const sets = await openDataset(path, { holdOut: 0 });
  const bytes = await Promise.all(Array.from({ length: sets.train.length }, (_, i) => bytesOf(sets.train, i)));
  await sets.train.close();
  const of = bytes.map((each) => images.findIndex((own) => each.equals(own)));
  return { images: list(sets.train, path).map((name, i) => `${name} = ${of[i]}`), left: left(sets, path) };
}

test("hard links: to an earlier member, a later one, and one another", async () => {
  expect(
    await opened(
      image("h/cat/1.png", 0),
      hard("h/cow/1.png", "h/cat/1.png"),
      hard("h/cow/2.png", "./h/dog/1.png"),
      hard("h/cow/3.png", "h/cow/2.png"),
      image("h/dog/1.png", 1),
    ),
  ).toEqual({
    images: [
      "cat: h/cat/1.png = 0",
      "cow: h/cow/1.png = 0",
      "cow: h/cow/2.png = 1",
      "cow: h/cow/3.png = 1",
      "dog: h/dog/1.png = 1",
    ],
    left: [],
  });
});

test("symbolic links: to files, by way of folders, and with long names", async () => {
  const long = `${"x".repeat(120)}.png`;
  expect(
    await opened(
      image("a/1.png", 0),
      image(`b/${"x".repeat(80)}.png`, 1),
      symbolic("a/2.png", `../b/./${"x".repeat(80)}.png`),
      symbolic("c", "b"),
      symbolic("a/3.png", `../c/${"x".repeat(80)}.png`),
      gnuLongName(`b/${long}`),
      image("cut.png", 2),
      { path: "././@LongLink", type: "K", contents: `../b/${long}\0` },
      symbolic("a/4.png", "cut"),
      pax({ linkpath: `b/${long}` }),
      hard("a/5.png", "cut"),
    ),
  ).toEqual({
    images: [
      "a: a/1.png = 0",
      "a: a/2.png = 1",
      "a: a/3.png = 1",
      "a: a/4.png = 2",
      "a: a/5.png = 2",
      `b: b/${"x".repeat(80)}.png = 1`,
      `b: b/${long} = 2`,
      `c: c/${"x".repeat(80)}.png = 1`,
      `c: c/${long} = 2`,
    ],
    left: [],
  });
});

test("what leads elsewhere, to nothing or in a circle is left alone and counted", async () => {
  expect(
    await opened(
      image("a/1.png", 0),
      image("b/1.png", 1),
      symbolic("a/2.png", "/etc/hostname"),
      symbolic("a/3.png", "../../outside.png"),
      hard("a/4.png", "../outside.png"),
      symbolic("a/5.png", "none.png"),
      hard("a/6.png", "none.png"),
      symbolic("a/7.png", "1.png/x"),
      symbolic("b/2.png", "2.png"),
      hard("b/3.png", "b/3.png"),
      symbolic("b/4.png", "5.png"),
      symbolic("b/5.png", "4.png"),
      symbolic("b/up", ".."),
      image("../c/1.png", 2),
      { path: "a/8.png", type: "3" },
      { path: "a/9.png", type: "6" },
      { path: "a/10.png", type: "S" },
      pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0" }),
      image("GNUSparseFile.1/11.png", 2),
    ),
  ).toEqual({
    images: ["a: a/1.png = 0", "b: b/1.png = 1"],
    left: [
      "1 pipe: a/9.png",
      "1 device: a/8.png",
      "5 circular link: b/2.png",
      "3 dangling link: a/5.png",
      "4 outward path: ../c/1.png",
      "2 other member: GNUSparseFile.1/11.png",
    ],
  });
});

test("of members of one name the last counts, as it does when they are unpacked; a hard link keeps what it named", async () => {
  expect(
    await opened(
      image("a/1.png", 0),
      hard("b/1.png", "a/1.png"),
      image("a/1.png", 1),
      image("b/2.png", 0),
      symbolic("c", "a"),
      image("c/2.png", 2),
    ),
  ).toEqual({
    images: ["a: a/1.png = 1", "b: b/1.png = 0", "b: b/2.png = 0", "c: c/2.png = 2"],
    left: ["2 replaced member: a/1.png"],
  });
});

describe.skipIf(process.platform === "win32")("a folder and its tar", () => {
  /** What `tar` makes of a folder with these, and the folder. */
  async function both(members: readonly Member[]) {
    const path = await folder({});
    for (const { path: own, type = "0", link: target = "", contents = "" } of members) {
      const at = join(path, own);
      await mkdir(dirname(at), { recursive: true });
      if (type === "0") await writeFile(at, contents);
      else if (type === "1") await link(join(path, target), at);
      else await symlink(target, at);
    }
    const packed = file(tar(...members));
    return { path, packed };
  }

  test("have the same images, and leave the same alone", async () => {
    const { path, packed } = await both([
      image("set/cat/1.png", 0),
      image("set/cat/deeper/2.png", 1),
      image("set/cat/@eaDir/1.png/thumb.jpg", 2),
      image("set/cat/._1.png", 2),
      image("set/dog/1.png", 1),
      { path: "set/dog/notes.txt", contents: "text" },
      { path: "set/dog/Thumbs.db", contents: "text" },
      hard("set/dog/2.png", "set/cat/1.png"),
      symbolic("set/dog/3.png", "../cat/deeper/2.png"),
      symbolic("set/cow", "cat/deeper"),
      symbolic("set/cat/up", ".."),
      symbolic("set/dog/kitten", "../cat"),
      symbolic("set/dog/text", "nothing"),
      symbolic("set/dog/own", "own"),
    ]);
    const [unpacked, packedSets] = [await openDataset(path, { holdOut: 0 }), await openDataset(packed, { holdOut: 0 })];
    expect(list(packedSets.train, packed)).toEqual(list(unpacked.train, path));
    expect(packedSets.train.length).toBe(8);
    expect(left(packedSets, packed)).toEqual(left(unpacked, path));
    for (let i = 0; i < unpacked.train.length; i++)
      expect(await bytesOf(packedSets.train, i)).toEqual(await bytesOf(unpacked.train, i));
    await packedSets.train.close();
  });
});

describe("links that are made to do harm", () => {
  test("folders that double at each step", async () => {
    const doubling = Array.from({ length: 40 }, (_, k) => [
      symbolic(`d${k}/x`, `../d${k + 1}`),
      symbolic(`d${k}/y`, `../d${k + 1}`),
    ]).flat();
    const path = file(tar(image("a/1.png"), image("b/1.png"), image("d40/1.png"), ...doubling));
    expect(await complaint(openDataset(path))).toBe(
      `${path}: its links multiply its files beyond what is allowed: unpack it, and pass the folder`,
    );
  });

  test("a long chain, which Linux would not follow either, and a long way", async () => {
    const chain = Array.from({ length: 5000 }, (_, k) => symbolic(`a/${k}.png`, `${k + 1}.png`));
    const way = { path: "././@LongLink", type: "K", contents: `../${"x/../".repeat(13_000)}a/1.jpg` };
    const members = [image("a/1.jpg"), image("b/1.png"), symbolic("x", "a"), ...chain];
    const deep = [way, symbolic("b/2.png", ""), symbolic("b/3.png", "2.png")];
    const { images: found, left: alone } = await opened(...members, ...deep);
    const far = ["b: b/2.png = 0", "b: b/3.png = 0"];
    expect(found).toEqual(["a: a/1.jpg = 0", "b: b/1.png = 0", ...far, "x: x/1.jpg = 0"]);
    const counts = alone.map((line) => Number.parseInt(line, 10));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(2 * chain.length);
  });
});
