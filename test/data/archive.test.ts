import { afterAll, expect, test } from "bun:test";
import { descendAll, openArchive } from "../../src/data/archive.ts";
import { openDataset } from "../../src/data/open.ts";
import { Unpacking } from "../../src/data/unpacking.ts";
import { openFile } from "../../src/io/bytes.ts";
import { temporaryFolder } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { bytesOf, complaint, list, maker } from "../support/sets.ts";
import { tar } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { file } = maker(root);

test("a .tar.gz of class folders is read in memory", async () => {
  const image = await plain(1);
  const packed = Bun.gzipSync(
    Buffer.from(tar(...["a/1.png", "a/2.png", "b/1.png"].map((path) => ({ path, contents: image })))),
  );
  const path = file(packed, ".tar.gz");
  const { train } = await openDataset(path, { holdOut: 0 });
  expect(list(train, path)).toEqual(["a: a/1.png", "a: a/2.png", "b: b/1.png"]);
  expect([train.place, (await bytesOf(train, 2)).equals(image)]).toEqual([undefined, true]);
});

test("gzip that is damaged, holds no .tar, or unpacks to more than there is room for", async () => {
  const text = Bun.gzipSync(Buffer.from("text ".repeat(1000)));
  const cut = file(text.subarray(0, 30), ".gz");
  expect(await complaint(openDataset(cut))).toBe(`${cut} is damaged (unexpected end of file): download it again`);
  const noTar = file(text, ".gz");
  expect(await complaint(openDataset(noTar))).toEndWith("no tar header at byte 0: it is not a tar archive");
  const bomb = file(Bun.gzipSync(Buffer.alloc(3 * 2 ** 20)), ".tar.gz");
  expect(await complaint(openArchive(await openFile(bomb), { unpacking: new Unpacking(2 ** 20) }))).toBe(
    `${bomb} is compressed (gzip) and expands to more than 1 MiB, too much to hold in memory: ` +
      `unpack it, and pass the folder or a .tar`,
  );
});

test("many archives in one are held against what all of them together may unpack to", async () => {
  const packed = Bun.gzipSync(Buffer.from(tar({ path: "a/1.png", contents: Buffer.alloc(300 * 1024) })));
  const outer = file(tar(...[1, 2, 3, 4].map((k) => ({ path: `${k}.tar.gz`, contents: packed }))), ".tar");
  const open = async (limit: number) => {
    const listing = await openArchive(await openFile(outer), { unpacking: new Unpacking(limit) });
    try {
      return (await descendAll(listing, [0, 1, 2, 3], () => {})).length;
    } finally {
      await listing.close();
    }
  };
  expect(await open(4 * 310 * 1024)).toBe(4);
  // All four are begun at once, and any may be the one for which too little is left.
  expect(await complaint(open(2 ** 20))).toMatch(
    /\/[1-4]\.tar\.gz \(at byte \d+ of its archive\) is compressed \(gzip\) and expands, with 1 MiB of the set's other archives, to more than 1 MiB/,
  );
});
