/** This project as a contestant for photos: `bun bench/peers/ours_photos.ts JOB`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeRecord } from "../../src/data/decode.ts";
import { createLoader } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { answer, measure, readJob } from "./contestant.ts";
import { OURS } from "./contestants.ts";
import type { Measured, PhotosJob } from "./job.ts";

const job = readJob();
if (job.task !== "photos") throw new Error(`ours_photos.ts has no ${job.task}`);
answer(OURS, [await read(job), await write(job)]);

/** The loader uses one decoding thread per core. */
async function read({ folder, side, seconds, crc }: PhotosJob): Promise<Measured> {
  const { val: dataset } = await openDataset(folder, { holdOut: 0 });
  const bytes = side * side * 3;
  const pass = async (look: (record: Uint8Array) => void = () => {}) => {
    for await (const { pixels, valid } of createLoader(dataset, { batch: 50, recordSize: side })) {
      for (let n = 0; n < valid; n++) look(pixels.subarray(n * bytes, (n + 1) * bytes));
    }
  };
  const samples = await measure(() => pass(), seconds);
  let found = 0;
  await pass((record) => (found = Bun.hash.crc32(record, found)));
  await dataset.close();
  return { name: "read", samples, error: found === crc ? 0 : 1 };
}

/** Writes a whole pack, including index, checksums and statistics, all flushed to disk. */
async function write({ folder, side, quality, threads, seconds }: PhotosJob): Promise<Measured> {
  const { path: out, remove } = temporaryFolder("alexnet-pack-", join(folder, ".."));
  try {
    let number = 0;
    const samples = await measure(async () => {
      await pack({ data: folder, out: join(out, String(++number)), side, quality, threads });
    }, seconds);
    const { train: packed } = await openDataset(join(out, "1"), { holdOut: 0 });
    const [made, wanted] = [new Uint8Array(side * side * 3), new Uint8Array(side * side * 3)];
    const last = packed.length - 1;
    await decodeRecord(await packed.read(last), side, made);
    await decodeRecord({ kind: "encoded", bytes: readFileSync(packed.nameOf(last)) }, side, wanted);
    const { val: all } = await openDataset(folder, { holdOut: 0 });
    const isWhole = packed.length === all.length;
    for (const set of [packed, all]) await set.close();
    const difference = made.reduce((sum, value, i) => sum + Math.abs(value - wanted[i]!), 0) / made.length / 255;
    return { name: "pack", samples, error: isWhole ? difference : 1 };
  } finally {
    remove();
  }
}
