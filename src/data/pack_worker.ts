/** A worker thread that writes whole shards: reads, decodes and encodes images, and sums them for the statistics. */
import { setImmediate } from "node:timers/promises";
import type { FileRange } from "../io/bytes.ts";
import { replaceFile } from "../io/files.ts";
import type { Encoded, Pixels } from "./dataset.ts";
import { BadImage, openDecoder } from "./decode.ts";
import { formatOf } from "./header.ts";
import { formatByName } from "./names.ts";
import { writePartial, type ImageProblem } from "./partial.ts";
import { Reader } from "./reading.ts";
import { ShardWriter, type Encoding } from "./shard.ts";
import { RecordSums } from "./statistics.ts";
import { serve } from "./worker_pool.ts";

export interface PackJob {
  /** The shard's path. Its notes (partial.ts) are written beside it until the pack is complete. */
  readonly path: string;
  readonly side: number;
  readonly shorter: number;
  readonly encoding: Encoding;
  /** JPEG quality, 1 to 100. */
  readonly quality: number;
  /** The memory budget of all threads: see `DecodingMemory`. */
  readonly memory: SharedArrayBuffer;
  readonly images: readonly {
    readonly image: FileRange | Encoded | Pixels;
    readonly label: number;
    readonly name: string;
  }[];
}

let decoder: ReturnType<typeof openDecoder> | undefined;
const reader = new Reader();
let sums: RecordSums | undefined;

serve<PackJob, null>(async ({ path, side, shorter, encoding, quality, images, memory }) => {
  const decode = await (decoder ??= openDecoder(memory));
  sums ??= await RecordSums.open(side);
  const record = new Uint8Array(side * side * 3);
  const problems: ImageProblem[] = [];
  const summed = sums;
  const write = async (append: (bytes: Uint8Array) => void): Promise<void> => {
    const shard = new ShardWriter(append, side, encoding);
    for (const { image, label, name } of images) {
      // @napi-rs/image frees an image's memory, megabytes each, only between tasks of the event loop.
      await setImmediate();
      try {
        const read = "kind" in image ? image : reader.read(image);
        const remark = decode.record(read, side, record, { shorter }) ?? misnamed(read, name);
        if (remark !== undefined) problems.push({ name, problem: remark, used: true });
      } catch (error) {
        if (!(error instanceof BadImage)) throw error;
        problems.push({ name, problem: error.message, used: false });
        continue;
      }
      summed.add(record);
      shard.add({ bytes: encoding === "raw" ? record : decode.encode(record, side, quality), label, name });
    }
    shard.end();
  };
  summed.take();
  // The notes are written before the shard is renamed: an existing shard always has its notes.
  await replaceFile(path, async (append) => {
    await write(append);
    await writePartial(path, { ...summed.take(), problems });
  });
  return null;
});

/** A remark on an image whose extension is that of another format. */
function misnamed(image: Encoded | Pixels, name: string): string | undefined {
  const expected = formatByName(name);
  if (image.kind === "pixels" || expected === undefined) return undefined;
  const format = formatOf(image.bytes);
  return format === undefined || format === expected ? undefined : `it is named as ${expected}, but is ${format}`;
}
