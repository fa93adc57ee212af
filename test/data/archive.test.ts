import { afterAll, expect, test } from "bun:test";
import { openArchive } from "../../src/data/archive.ts";
import { openFile } from "../../src/data/bytes.ts";
import { openDataset } from "../../src/data/open.ts";
import { plain, tar, temporaryFolder } from "./fixtures.ts";
import { bytesOf, complaint, list, maker } from "./sets.ts";

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
  expect(await complaint(openDataset(noTar))).toEndWith("no tar header at byte 0: it is no tar archive");
  const bomb = file(Bun.gzipSync(Buffer.alloc(3 * 2 ** 20)), ".tar.gz");
  expect(await complaint(openArchive(await openFile(bomb), { limit: 2 ** 20 }))).toBe(
    `${bomb} is compressed (gzip) and unpacks to more than 1 MiB, which is too much to read in memory: ` +
      `unpack it, and give the folder or .tar`,
  );
});
