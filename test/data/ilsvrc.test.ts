import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDataset } from "../../src/data/open.ts";
import { classNames } from "../../src/data/sources/synsets.ts";
import { temporaryFolder, type Files } from "../support/folders.ts";
import { challengeNumber, devkitFiles, ilsvrc, metaMat, photos, valName, type Photo } from "../support/imagenet.ts";
import { plain } from "../support/images.ts";
import { bytesOf, complaint, left, list, maker } from "../support/sets.ts";
import { tar, type Member } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder, file } = maker(root);

let own: Photo[];
let archives: Record<string, Uint8Array>;
beforeAll(async () => {
  own = await photos(200);
  archives = await ilsvrc(own);
});

const pick = (...names: string[]) => Object.fromEntries(names.map((name) => [name, archives[name]!]));
const [TRAIN, VAL, DEVKIT] = ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"];

/** What the fixture says: classes by synset ID, two images each to train on, one to validate with. */
async function expectAll({ train, val }: { train: Dataset; val: Dataset }): Promise<void> {
  const count = own.length;
  expect([train.length, val.length]).toEqual([2 * count, count]);
  expect(train.classes).toEqual(classNames(own.map(({ wnid }) => wnid)));
  expect(val.classes).toEqual(train.classes);
  for (let k = 0; k < count; k++) {
    expect([train.label(2 * k), train.label(2 * k + 1), val.label(k)]).toEqual([k, k, k]);
    expect((await bytesOf(train, 2 * k + 1)).equals(own[k]!.bytes)).toBe(true);
    expect((await bytesOf(val, k)).equals(own[k]!.bytes)).toBe(true);
  }
  await train.close();
  await val.close();
}

describe("ILSVRC-2012 as distributed", () => {
  test("a folder with the three archives", async () => {
    const path = await folder(archives);
    const sets = await openDataset(path);
    const [first] = own;
    expect(sets.train.nameOf(0)).toBe(`${path}/${TRAIN}/${first!.wnid}/${first!.wnid}_10.JPEG`);
    expect(sets.train.classes[0]).toBe("tench, Tinca tinca");
    expect(sets.train.place?.(0)).toMatchObject({ path: join(path, TRAIN!) });
    expect(sets.val.name).toBe(`${path}/${VAL}`);
    await expectAll(sets);
    await expect(sets.train.read(0)).rejects.toThrow();
  });

  test("archives and images that are no part of it are left alone", async () => {
    const path = await folder({ ...archives, "ILSVRC2012_img_test.tar": "not looked at", "photos/1.jpg": "other" });
    const sets = await openDataset(path);
    expect(left(sets, path)).toEqual(["1 other archive: ILSVRC2012_img_test.tar", "1 no part: photos/1.jpg"]);
    await expectAll(sets);
  });

  test("the devkit unpacked, the training images unpacked once, all of it one folder further down", async () => {
    const { readme, ...kit } = { readme: "text", ...devkitFiles(own, { compressed: false, little: false }) };
    await expectAll(await openDataset(await folder({ ...pick(TRAIN!, VAL!), ...kit, readme })));
    const inner: Files = Object.fromEntries(
      own.map(({ wnid, bytes }) => [
        `deeper/train/${wnid}.tar`,
        tar({ path: `${wnid}_1.JPEG`, contents: "other" }, { path: `${wnid}_2.JPEG`, contents: bytes }),
      ]),
    );
    await expectAll(await openDataset(await folder({ ...inner, "deeper/val.txt": "", ...pick(VAL!, DEVKIT!) })));
  });

  test("images unpacked: class folders to train on, numbered files to validate with", async () => {
    const files: Record<string, Uint8Array | string> = { ...devkitFiles(own) };
    own.forEach(({ wnid, bytes }, k) => {
      files[`train/${wnid}/${wnid}_1.JPEG`] = "other";
      files[`train/${wnid}/${wnid}_2.JPEG`] = bytes;
      files[`val/${valName(own.length - k)}`] = bytes;
    });
    await expectAll(await openDataset(await folder(files)));
  });

  test("one part in its archive, the other unpacked to class folders", async () => {
    const val = Object.fromEntries(own.map(({ wnid, bytes }) => [`val/${wnid}/${valName(7)}`, bytes]));
    await expectAll(await openDataset(await folder({ ...pick(TRAIN!), ...val })));
  });

  test("the training archive alone, with names though there is no devkit", async () => {
    const path = file(archives[TRAIN!]!);
    const { train, val } = await openDataset(path, { holdOut: 0 });
    expect([train.length, train.classes[1]]).toEqual([2 * own.length, classNames([own[1]!.wnid])[0]!]);
    expect((await bytesOf(train, 3)).equals(own[1]!.bytes)).toBe(true);
    await train.close();
    await val.close();
    const held = await openDataset(path);
    expect([held.train.length, held.val.length]).toEqual([own.length, own.length]);
    await held.train.close();
  });

  test("the archive to validate with, by itself: the devkit beside it has the labels", async () => {
    const path = await folder(pick(VAL!, DEVKIT!));
    for (const given of [path, join(path, VAL!)]) {
      const { val } = await openDataset(given, { holdOut: 0 });
      expect([val.length, val.label(3), val.classes.length]).toEqual([own.length, 3, own.length]);
      await val.close();
    }
    const trainPath = await folder(pick(TRAIN!));
    await expectAll(await openDataset(trainPath, { val: join(path, VAL!) }));
    const alone = await folder(pick(VAL!));
    expect(await complaint(openDataset(alone))).toBe(
      `${alone} has validation images of ILSVRC-2012, but their labels are in ` +
        `ILSVRC2012_devkit_t12.tar.gz: download it from image-net.org and put it beside them`,
    );
  });

  test("what does not fit together is refused", async () => {
    const truth = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt";
    const few = await folder({ ...pick(TRAIN!, VAL!), ...devkitFiles(own), [truth]: "1\n2\n" });
    expect(await complaint(openDataset(few))).toMatch(
      /truth.txt, line \d+: no synset of image \d+: the file has 2 lines$/,
    );
    const wrong = await folder({ ...pick(TRAIN!, VAL!), ...devkitFiles(own), [truth]: "1001\n".repeat(own.length) });
    expect(await complaint(openDataset(wrong))).toEndWith('the file says "1001"');
    const [, ...rest] = own;
    const lacking = await folder({ ...archives, ...pick(VAL!, DEVKIT!), [TRAIN!]: (await ilsvrc(rest))[TRAIN!]! });
    expect(await complaint(openDataset(lacking))).toBe(
      `${lacking}/${VAL} has images of "tench, Tinca tinca, n01440764", but ${lacking}/${TRAIN} has none to train on`,
    );
    const cut = await folder({ ...archives, [TRAIN!]: archives[TRAIN!]!.subarray(0, 1536) });
    expect(await complaint(openDataset(cut))).toContain("is truncated: it ends at byte 1536");
    const broken = Buffer.from(archives[TRAIN!]!);
    broken[512 + 5]! ^= 1;
    const damaged = await folder({ ...archives, [TRAIN!]: broken });
    expect(await complaint(openDataset(damaged))).toEndWith(
      `${TRAIN}/${own.at(-1)!.wnid}.tar: no tar header at byte 0: it is not a tar archive`,
    );
    const third = file(tar({ path: TRAIN!, contents: archives[TRAIN!]! }));
    expect(await complaint(openDataset(third))).toEndWith(
      ".tar is nested in more than 2 archives: unpack the outermost one",
    );
  });
});

test("ILSVRC-2010: its names, its devkit, synsets that the table has no words of", async () => {
  const image = await plain(1);
  const wnids = ["n00000002", "n00000001", "n01440764"];
  const inner: Member[] = wnids.map((wnid) => ({
    path: `train/${wnid}.tar`,
    contents: tar({ path: `${wnid}_1.JPEG`, contents: image }),
  }));
  const words = ["thing", "thing", "tench"];
  const synsets = wnids.map((wnid, k) => ({ id: challengeNumber(k, 3), wnid, words: words[k]! }));
  const kit = tar(
    { path: "devkit-1.0/data/meta.mat", contents: metaMat(synsets, { idField: "ILSVRC2010_ID" }) },
    { path: "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt", contents: "1\n2\n3\n" },
  );
  const path = await folder({
    "ILSVRC2010_images_train.tar": tar(...inner),
    "ILSVRC2010_images_val.tar": tar(
      ...[1, 2, 3].map((k) => ({ path: `val/ILSVRC2010_val_0000000${k}.JPEG`, contents: image })),
    ),
    "ILSVRC2010_devkit-1.0.tar.gz": Bun.gzipSync(Buffer.from(kit)),
  });
  const { train, val } = await openDataset(path);
  expect(train.classes).toEqual(["thing (n00000001)", "thing (n00000002)", "tench, Tinca tinca"]);
  expect(list(val, join(path, "ILSVRC2010_images_val.tar"))).toEqual([
    "thing (n00000001): val/ILSVRC2010_val_00000001.JPEG",
    "thing (n00000002): val/ILSVRC2010_val_00000003.JPEG",
    "tench, Tinca tinca: val/ILSVRC2010_val_00000002.JPEG",
  ]);
  await train.close();
});

test("class folders named after synsets have the same names, and only those", async () => {
  const image = await plain(1);
  const path = await folder({ "n02012849/1.png": image, "n03126707/1.png": image, "n01440764/1.png": image });
  const { train } = await openDataset(path, { holdOut: 0 });
  expect(train.classes).toEqual(["tench, Tinca tinca", "crane (n02012849)", "crane (n03126707)"]);
  const mixed = await folder({ "n02012849/1.png": image, "crane/1.png": image });
  expect((await openDataset(mixed, { holdOut: 0 })).train.classes).toEqual(["crane", "n02012849"]);
});

describe("Kaggle's layout", () => {
  const layout = (): Record<string, Uint8Array | string> => {
    const files: Record<string, Uint8Array | string> = {
      "LOC_synset_mapping.txt": own.map(({ wnid }) => `${wnid} other words\n`).join(""),
      "ILSVRC/Annotations/CLS-LOC/train/n01440764/n01440764_18.xml": "<xml>",
      "ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG": "not looked at",
    };
    let solution = "ImageId,PredictionString\n";
    own.forEach(({ wnid, bytes }, k) => {
      files[`ILSVRC/Data/CLS-LOC/train/${wnid}/${wnid}_1.JPEG`] = "other";
      files[`ILSVRC/Data/CLS-LOC/train/${wnid}/${wnid}_2.JPEG`] = bytes;
      const name = valName(own.length - k);
      files[`ILSVRC/Data/CLS-LOC/val/${name}`] = bytes;
      solution += `${name.slice(0, -5)},${wnid} 85 1 499 272 ${wnid} 1 2 3 4\n`;
    });
    return { ...files, "LOC_val_solution.csv": solution };
  };

  test("from the top, and from further down", async () => {
    const path = await folder(layout());
    for (const given of [path, join(path, "ILSVRC"), join(path, "ILSVRC", "Data", "CLS-LOC")])
      await expectAll(await openDataset(given));
    expect(left(await openDataset(path), path)).toEqual([
      "1 no part: ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG",
    ]);
  });

  test("a solution that lacks an image, or a label", async () => {
    const short = await folder({ ...layout(), "LOC_val_solution.csv": "ImageId,PredictionString\n" });
    expect(await complaint(openDataset(short))).toMatch(/LOC_val_solution.csv has no row for ILSVRC2012_val_0/);
    const odd = await folder({ ...layout(), "LOC_val_solution.csv": `${valName(1).slice(0, -5)},tench 1 2 3 4\n` });
    expect(await complaint(openDataset(odd))).toContain('line 1: expected an image and "n01440764 …", found');
  });
});
