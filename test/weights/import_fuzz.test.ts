/**
 * Damaged files of weights: each is read, as far as it goes, or ends with one line. What hangs ends with the test's
 * time; what allocates by a number in a file would show in the memory that is taken.
 */
import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AlexNetError } from "../../src/errors.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { matchNetwork } from "../../src/weights/import/match.ts";
import { openWeightFile } from "../../src/weights/import/open.ts";
import { temporaryFolder } from "../support/folders.ts";
import { mutate, ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";
import { caffemodel, goldenFile, SHAPES, SMALL, zip } from "../support/weight_files.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
/** Tensors have 74 KB at most, and a damaged file may ask for anything. */
const MAX_GROWTH = 300 * 2 ** 20;

/** True when all tensors could be read. */
async function survives(path: string, round: number): Promise<boolean> {
  try {
    const file = await openWeightFile(path);
    try {
      for (const tensor of file.dictionaries.flatMap(({ tensors }) => [...tensors.values()])) {
        const values = await tensor.read();
        expect(values.length).toBe(tensor.shape.reduce((product, side) => product * side, 1));
      }
      matchNetwork(file, findNetwork("small"));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (!(error instanceof AlexNetError)) throw new Error(`round ${round}: no AlexNetError`, { cause: error });
    expect(error.message).not.toMatch(/[\0-\x1f]/);
    return false;
  }
}

/** The pickle of an archive, in an archive that is otherwise whole. */
function pickleOf(archive: Uint8Array): Uint8Array {
  const bytes = Buffer.from(archive);
  const from = bytes.indexOf("\x80\x02", 0, "latin1");
  return bytes.subarray(from, bytes.indexOf("PK", from, "latin1"));
}

/** The storages of its tensors, of zeros. */
const STORAGES = Object.values(SHAPES).map((shape, k) => {
  const bytes = 4 * shape.reduce((product, side) => product * side, 1);
  return [`archive/data/${k}`, { contents: new Uint8Array(bytes) }] as const;
});

/** What is damaged, and what file is made of it. */
const CASES: Readonly<Record<string, readonly [whole: Uint8Array, wrap?: (bytes: Uint8Array) => Uint8Array]>> = {
  "zip.pth": [goldenFile("zip.pth")],
  "legacy.pth": [goldenFile("legacy.pth")],
  "the pickles of legacy.pth": [goldenFile("legacy.pth").subarray(0, 1500)],
  "timm.pth": [goldenFile("timm.pth")],
  "lightning.pth": [goldenFile("lightning.pth")],
  "half.safetensors": [goldenFile("half.safetensors")],
  "arrays.npz": [goldenFile("arrays.npz")],
  "compressed.npz": [goldenFile("compressed.npz")],
  "dictionary.npy": [goldenFile("dictionary.npy")],
  "a .caffemodel": [caffemodel(SMALL)],
  "an old .caffemodel": [caffemodel(SMALL, { old: true })],
  "a pickle in an archive": [
    pickleOf(goldenFile("zip.pth")),
    (pickle) => zip([["archive/data.pkl", { contents: pickle }], ...STORAGES]),
  ],
};

test.each(Object.keys(CASES))(
  "%s",
  async (name) => {
    const [whole, wrap = (bytes: Uint8Array) => bytes] = CASES[name]!;
    const path = join(folder.path, name.replaceAll(" ", "_"));
    const isWhole = name !== "the pickles of legacy.pth";
    writeFileSync(path, wrap(whole));
    expect(await survives(path, -1)).toBe(isWhole);
    // Other tests' garbage would go into the account.
    const memory = () => {
      Bun.gc(true);
      return process.memoryUsage().rss;
    };
    const before = memory();
    let read = 0;
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(path, wrap(mutate(whole, round)));
      if (await survives(path, round)) read++;
      if (round % 100 === 0) expect(memory() - before).toBeLessThan(MAX_GROWTH);
    }
    // Not all damage is found: numbers may be any.
    expect(read).toBeLessThan(ROUNDS);
  },
  TIMEOUT_MS,
);
