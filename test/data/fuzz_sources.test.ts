/**
 * Damaged archives, lists and devkits: each ends with a set all of whose images can be read, or with one line that
 * says what is wrong. What hangs ends with the test's time; nothing is read outside of the files given.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import { DataError } from "../../src/errors.ts";
import { temporaryFolder, writeFiles, type Files } from "../support/folders.ts";
import { devkitFiles, ilsvrc, type Photo } from "../support/imagenet.ts";
import { plain } from "../support/images.ts";
import { mutate, ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";
import { gnuLongName, pax, tar } from "../support/tar.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);

let image: Uint8Array;
let photos: Photo[];
beforeAll(async () => {
  image = await plain(1);
  photos = await Promise.all(
    ["n01440764", "n01443537", "n01484850"].map(async (wnid, k) => ({ wnid, bytes: await plain(k) })),
  );
});

/** Puts right the sums of what looks like headers, so that damage comes further than to the first check. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const fixed = Buffer.from(bytes);
  for (let at = 0; at + 512 <= fixed.length; at += 512) {
    const header = fixed.subarray(at, at + 512);
    if (header.toString("latin1", 257, 262) !== "ustar") continue;
    header.fill(" ", 148, 156);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
  }
  return fixed;
}

/** Opens `given` of a folder with these files and reads all there is. True when something could be read. */
async function survives(path: string, given: string, round: number): Promise<boolean> {
  try {
    const { train, val } = await openDataset(join(path, given), { holdOut: 0 });
    try {
      for (const set of [train, val]) {
        for (let i = 0; i < set.length; i++) {
          if (!(set.label(i) < set.classes.length)) throw new Error(`class ${set.label(i)} of ${set.classes.length}`);
          const place = set.place?.(i);
          if (place && !place.path.startsWith(path + sep)) throw new Error(`outside: ${place.path}`);
          if (place?.length !== undefined && place.offset + place.length > statSync(place.path).size)
            throw new Error(`beyond the end: ${JSON.stringify(place)}`);
          await set.read(i).catch((error: DataError) => {
            // A list may name what isn't there, or a folder, or more letters than the system has room for.
            const { code = "" } = (error.cause ?? {}) as NodeJS.ErrnoException;
            if (!/ENOENT|ENOTDIR|EISDIR|ENAMETOOLONG/.test(code) || place?.length !== undefined) throw error;
          });
        }
      }
    } finally {
      await train.close();
      await val.close();
    }
    return true;
  } catch (error) {
    if (!(error instanceof DataError)) throw new Error(`round ${round}: no DataError`, { cause: error });
    expect(error.message).not.toContain("\n");
    return false;
  }
}

interface Case {
  /** All files of the folder, of which `target` is damaged. */
  readonly files: () => Files | Promise<Files>;
  readonly target: string;
  /** What is opened: a file, or "" for the folder. */
  readonly given: string;
  readonly repair?: (bytes: Uint8Array) => Uint8Array;
  /** Whether a check over all of the file may find every damage. */
  readonly isChecked?: boolean;
}

const labels = (ending: string) => Array.from({ length: 6 }, (_, k) => `a/${k}.png,cat${ending}\n`).join("");
const json = Array.from(
  { length: 6 },
  (_, k) => `${JSON.stringify({ path: `a/${k}.png`, label: k, split: "train" })}\n`,
);
const members = () =>
  tar(
    { path: "set/a/1.png", contents: image },
    gnuLongName(`set/b/${"x".repeat(150)}.png`),
    { path: "cut.png", contents: image },
    pax({ path: "set/ü/2.png", size: `${image.length}` }),
    { path: "cut.png", contents: image },
    { path: "set/../../b/2.png", contents: image },
  );
/** To files and folders, through one another, in circles, to nothing and to elsewhere. */
const links = () => {
  const link = (path: string, target: string, type = "2") => ({ path, type, link: target });
  return tar(
    { path: "set/a/1.png", contents: image },
    link("set/a/2.png", "set/a/1.png", "1"),
    link("set/b/1.png", "../a/1.png"),
    link("set/b/2.png", "set/c/1.png", "1"),
    { path: "set/c/1.png", contents: image },
    link("set/d", "c"),
    link("set/d2", "d/../d"),
    link("set/a/up", "../.."),
    link("set/b/self", "self"),
    link("set/b/3.png", "set/b/3.png", "1"),
    link("set/b/4.png", "5.png"),
    link("set/b/5.png", "4.png"),
    link("set/b/6.png", "/etc/hostname"),
    link("set/b/7.png", "../../../7.png"),
    link("set/b/8.png", "none.png", "1"),
    { path: "././@LongLink", type: "K", contents: `../${"c/../".repeat(30)}a/1.png\0` },
    link("set/b/9.png", "cut"),
    pax({ linkpath: "../a" }),
    link("set/b/deeper", "cut"),
  );
};
const shard = () =>
  tar(
    { path: "1.png", contents: image },
    { path: "1.cls", contents: "0" },
    { path: "2.png", contents: image },
    { path: "2.json", contents: '{"label": 1, "class_name": "dog"}' },
    { path: "3.0.png", contents: image },
    { path: "3.0.mask.png", contents: image },
    { path: "3.0.cls", type: "1", link: "1.cls" },
  );
const META = "ILSVRC2012_devkit_t12/data/meta.mat";
const unpacked = async (compressed: boolean): Promise<Files> => {
  const { "ILSVRC2012_img_train.tar": train, "ILSVRC2012_img_val.tar": val } = await ilsvrc(photos);
  return { "ILSVRC2012_img_train.tar": train!, "ILSVRC2012_img_val.tar": val!, ...devkitFiles(photos, { compressed }) };
};

const CASES: Readonly<Record<string, Case>> = {
  "a .tar": { files: () => ({ "set.tar": members() }), target: "set.tar", given: "set.tar" },
  "a .tar with sums put right": {
    files: () => ({ "set.tar": members() }),
    target: "set.tar",
    given: "set.tar",
    repair: withChecksums,
  },
  "links in a .tar": { files: () => ({ "set.tar": links() }), target: "set.tar", given: "set.tar" },
  "links in a .tar with sums put right": {
    files: () => ({ "set.tar": links() }),
    target: "set.tar",
    given: "set.tar",
    repair: withChecksums,
  },
  "a .tar of .tars": {
    files: () => unpacked(true),
    target: "ILSVRC2012_img_train.tar",
    given: "",
    repair: withChecksums,
  },
  "a compressed meta.mat": { files: () => unpacked(true), target: META, given: "" },
  "a meta.mat": { files: () => unpacked(false), target: META, given: "" },
  "validation labels": {
    files: () => unpacked(true),
    target: META.replace("meta.mat", "ILSVRC2012_validation_ground_truth.txt"),
    given: "",
  },
  "a devkit's gzip": { files: () => ilsvrc(photos), target: "ILSVRC2012_devkit_t12.tar.gz", given: "" },
  "a .tar.gz": {
    files: () => ({ "set.tgz": Bun.gzipSync(Buffer.from(members())) }),
    target: "set.tgz",
    given: "set.tgz",
    isChecked: true,
  },
  "a shard": { files: () => ({ "set.tar": shard() }), target: "set.tar", given: "set.tar", repair: withChecksums },
  "a .csv": {
    files: () => ({ "set.csv": `path,label,split\n${labels(",train")}"a/""1.png",dog,val\n`, "a/0.png": image }),
    target: "set.csv",
    given: "set.csv",
  },
  "a .jsonl": { files: () => ({ "set.jsonl": json.join("") }), target: "set.jsonl", given: "set.jsonl" },
};

test.each(Object.keys(CASES))(
  "%s",
  async (name) => {
    const { files, target, given, repair = (bytes) => bytes, isChecked = false } = CASES[name]!;
    const path = join(root, basename(name).replaceAll(" ", "_"));
    await writeFiles(path, await files());
    const whole = readFileSync(join(path, target));
    expect(await survives(path, given, -1)).toBe(true);
    let read = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await Bun.write(join(path, target), repair(mutate(whole, round)));
      if (await survives(path, given, round)) read++;
    }
    // Neither is all damage found, nor none.
    if (!isChecked) expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(ROUNDS);
  },
  TIMEOUT_MS,
);
