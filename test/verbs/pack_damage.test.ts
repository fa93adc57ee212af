/** A damaged pack is refused in one line, or the damaged image is named. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLoader } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { packer, photoFiles, SIDE, small } from "../support/packs.ts";
import { complaint } from "../support/sets.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const packInto = packer(root);
const photos = join(root, "photos");

describe("a damaged pack", () => {
  let whole: string;
  let packs = 0;
  beforeAll(async () => {
    await writeFiles(photos, await photoFiles());
    whole = await packInto("whole", { encoding: "raw" });
  });

  /** The error when opening a damaged copy, with the copy's path replaced. */
  async function opened(damage: (copy: string) => void): Promise<string> {
    const copy = join(root, `copy${packs++}`);
    cpSync(whole, copy, { recursive: true });
    damage(copy);
    const found = await complaint(openDataset(copy, { holdOut: 0 }));
    expect(found).not.toContain("\n");
    return found.replaceAll(copy, "PACK");
  }

  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path);
    bytes[at < 0 ? bytes.length + at : at]! ^= 4;
    writeFileSync(path, bytes);
  };
  const shard = "train-00001.shard";
  const again = "delete it and run `bun run pack` again";

  test("in its shards", async () => {
    expect(await opened(() => {})).toBe("no complaint");
    const images = 4 * SIDE * SIDE * 3;
    expect(await opened((copy) => flip(join(copy, shard), images + 3))).toBe(
      `PACK/${shard} is damaged: the checksum of its index at byte ${images} does not match: ${again}`,
    );
    const { size } = statSync(join(whole, shard));
    expect(await opened((copy) => flip(join(copy, shard), -44))).toBe(
      `PACK/${shard} is damaged: no "ALXSHARD" at byte ${size - 48}: ${again}`,
    );
    expect(await opened((copy) => flip(join(copy, shard), -36))).toBe(
      `PACK/${shard} is damaged: the trailer at byte ${size - 48} claims 0 images and an index at byte ${images}: ${again}`,
    );
    for (const left of [0, 47, 48, size - 1]) {
      const cut = await opened((copy) =>
        writeFileSync(join(copy, shard), readFileSync(join(whole, shard)).subarray(0, left)),
      );
      expect(cut).toStartWith(`PACK/${shard} is damaged: ${left < 48 ? `it has ${left} bytes` : "no "}`);
    }
    expect(await opened((copy) => rmSync(join(copy, shard)))).toBe(
      `PACK lacks ${shard}, which pack.json names: run \`bun run pack\` again`,
    );
    // With as many images, and of the same split.
    const swapped = await opened((copy) => {
      renameSync(join(copy, shard), join(copy, "x"));
      renameSync(join(copy, "train-00002.shard"), join(copy, shard));
      renameSync(join(copy, "x"), join(copy, "train-00002.shard"));
    });
    expect(swapped).toBe(`PACK/${shard} does not match its entry in pack.json: run \`bun run pack\` again`);
  });

  test("in mean.npy and pack.json", async () => {
    const other = await packInto("other-side", { side: 8 });
    expect(await opened((copy) => copyFileSync(join(other, "mean.npy"), join(copy, "mean.npy")))).toBe(
      "PACK/mean.npy is not a float32 array of 16 × 16 × 3: pack again",
    );
    expect(await opened((copy) => rmSync(join(copy, "mean.npy")))).toStartWith("PACK lacks mean.npy");
    const edited = (edit: (json: any) => void) =>
      opened((copy) => {
        const json = JSON.parse(readFileSync(join(copy, "pack.json"), "utf8"));
        edit(json);
        writeFileSync(join(copy, "pack.json"), JSON.stringify(json));
      });
    const edits: [edit: (json: any) => void, what: string][] = [
      [
        (json) => (json.format = "alexnet-pack-9"),
        'has the format "alexnet-pack-9", but this program reads "alexnet-pack-1"',
      ],
      [(json) => (json.side = "16"), 'its side is "16"'],
      [(json) => (json.side = 1e9), "its side is 1000000000"],
      [(json) => (json.encoding = "png"), 'its encoding is "png"'],
      [(json) => (json.classes = [1, 2, 3]), "it has no class names"],
      [(json) => delete json.parts, "its train split is invalid"],
      [(json) => (json.parts.train = []), "its train split is invalid"],
      [(json) => (json.parts.train.images = -1), "its train split is invalid"],
      [(json) => (json.parts.train.shards[0] = null), "its train split is invalid"],
      [(json) => (json.parts.train.shards[0].file = "../x.shard"), "its train split is invalid"],
      [(json) => (json.parts.train.shards[0].file = ["a.shard"]), "its train split is invalid"],
      [(json) => delete json.parts.train.shards[0].checksum, "its train split is invalid"],
      [(json) => (json.parts.val.shards = {}), "its val split is invalid"],
      [(json) => (json.statistics.covariance[4] = null), "its statistics are invalid"],
      [(json) => (json.statistics.axes.vectors = 3), "its statistics are invalid"],
      [(json) => (json.classes = ["class a"]), "class 1, but there are 1: pack again"],
    ];
    for (const [edit, what] of edits) expect(await edited(edit)).toContain(what);
    for (const text of ["", "null", "[]", "3", '"x"', "{", `${"[".repeat(1e5)}`]) {
      const found = await opened((copy) => writeFileSync(join(copy, "pack.json"), text));
      expect(found).toMatch(
        /^PACK\/pack.json (is damaged: .*: pack again|has the format undefined, but this program reads)/,
      );
    }
    // More than there could be memory for.
    const many = await edited((json) => {
      json.parts.train = { images: 1e15, shards: [{ ...json.parts.train.shards[0], images: 1e15 }] };
    });
    expect(many).toStartWith("PACK/train-00000.shard does not match its entry in pack.json");
  });

  test("a missing shard of a finished pack is named when packing again", async () => {
    const out = await packInto("lacking");
    rmSync(join(out, shard));
    expect(await complaint(pack({ data: photos, out, ...small }))).toBe(
      `${out} lacks ${shard}, which pack.json names: delete ${out} and pack again`,
    );
  });

  test.each(["raw", "jpeg"] as const)(
    "%s: the damaged image is named, and the rest of the epoch is read",
    async (encoding) => {
      const out = await packInto(`flipped-${encoding}`, { encoding });
      flip(join(out, shard), encoding === "raw" ? SIDE * SIDE * 3 + 5 : 100);
      const { train } = await openDataset(out, { holdOut: 0 });
      const at = encoding === "raw" ? 5 : 4;
      const told: string[] = [];
      const options = { batch: 4, recordSize: SIDE, shuffle: { seed: 1, epoch: 0 } };
      const seen = new Set<number>();
      const loader = createLoader(train, { ...options, onBad: (name, reason) => told.push(`${name}: ${reason}`) });
      for await (const { indices } of loader) for (const i of indices) seen.add(i);
      expect(told.length).toBe(1);
      expect(told[0]).toMatch(/: its checksum is [0-9a-f]+, not [0-9a-f]+: the file is damaged$/);
      expect(told[0]).toStartWith(train.nameOf(at));
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 13 }, (_, i) => i).filter((i) => i !== at));
      await expect(train.read(at)).rejects.toThrow("its checksum is ");
      await train.close();
    },
  );
});
