/** Event files as TensorBoard reads them: by a reader of its own here, and against bytes that TensorFlow's writer made. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { crc32c, recordOf, scalarsRecord, startRecord, versionRecord } from "../../src/training/later/event_file.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { withTensorboard } from "../../src/training/later/tensorboard.ts";
import { train } from "../../src/verbs/train/train.ts";
import golden from "../golden/event_file.json";
import { epochsOf, tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("CRC-32C: the vectors of RFC 3720, B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(new Uint8Array(32)).toString(16)).toBe("8a9136aa");
  expect(crc32c(new Uint8Array(32).fill(255)).toString(16)).toBe("62a8ab43");
  expect(crc32c(ascending).toString(16)).toBe("46dd794e");
  expect(crc32c(ascending.toReversed()).toString(16)).toBe("113fdb5c");
  expect(crc32c(new TextEncoder().encode("123456789")).toString(16)).toBe("e3069283");
});

test("the same bytes as TensorBoard's own writer", () => {
  expect(hex(recordOf(new TextEncoder().encode("alexnet")))).toBe(golden.record);
  expect(hex(versionRecord(1.5))).toBe(golden.version);
  expect(hex(startRecord(1.5, 300))).toBe(golden.start);
  expect(hex(scalarsRecord(1.5, 2 ** 33, { "loss/train": 0.25, "learning rate ü": -1e-3 }))).toBe(golden.scalars);
});

interface Read {
  readonly step: number;
  readonly started: boolean;
  readonly scalars: Record<string, number>;
}

/** All of a file, whose framing must be right to the last byte. */
function read(path: string): Read[] {
  const bytes = new Uint8Array(readFileSync(path));
  const events: Read[] = [];
  for (let from = 0; from < bytes.length;) {
    const length = Number(new DataView(bytes.buffer).getBigUint64(from, true));
    const data = bytes.slice(from + 12, from + 12 + length);
    expect(hex(bytes.slice(from, (from += 16 + length)))).toBe(hex(recordOf(data)));
    events.push(parseEvent(data));
  }
  return events;
}

function parseEvent(data: Uint8Array): Read {
  const scalars: Record<string, number> = {};
  const fields = parse(data);
  for (const value of fields.filter(([field]) => field === 5).flatMap(([, summary]) => parse(summary as Uint8Array))) {
    const [[, tag], [, number]] = parse(value[1] as Uint8Array) as [[number, Uint8Array], [number, number]];
    scalars[new TextDecoder().decode(tag)] = number;
  }
  const step = (fields.find(([field]) => field === 2)?.[1] ?? 0) as number;
  return { step, started: fields.some(([field]) => field === 7), scalars };
}

function parse(data: Uint8Array): [field: number, value: number | Uint8Array][] {
  const fields: [number, number | Uint8Array][] = [];
  const view = new DataView(data.buffer, data.byteOffset);
  let at = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (; data[at]! >= 128; scale *= 128) value += (data[at++]! - 128) * scale;
    return value + data[at++]! * scale;
  };
  while (at < data.length) {
    const key = varint();
    const [field, wire] = [key >> 3, key & 7];
    if (wire === 0) fields.push([field, varint()]);
    else if (wire === 1) fields.push([field, view.getFloat64((at += 8) - 8, true)]);
    else if (wire === 5) fields.push([field, view.getFloat32((at += 4) - 4, true)]);
    else {
      const length = varint();
      fields.push([field, data.slice(at, (at += length))]);
    }
  }
  return fields;
}

const filesOf = (run: string) => readdirSync(run).filter((name) => name.startsWith("events.out.tfevents."));

test("a training: an event an epoch and every 50 steps; resumed, a new file that says from which step on", async () => {
  await makePhotos(at("photos"), 2, 30);
  const options = { ...tiny, data: at("photos"), batch: 2, epochs: 2, out: at("run") };
  const controller = new AbortController();
  const stop = (event: TrainEvent) => void (event.type === "step" && event.epoch === 2 && controller.abort());
  await train({ ...options, onEvent: withTensorboard(stop), signal: controller.signal });
  const [first] = filesOf(at("run")) as [string];
  const events = read(join(at("run"), first));
  const [epoch] = epochsOf(at("run")) as any[];
  expect(events.map(({ step, started }) => [step, started])).toEqual([[0, false], [1, true], [27, false]]); // prettier-ignore
  expect(events[2]!.scalars).toMatchObject({
    "loss/train": Math.fround(epoch.train.loss),
    "loss/validation": Math.fround(epoch.val.loss),
    "accuracy/validation": Math.fround(1 - epoch.val.top1),
    "error/validation": Math.fround(epoch.val.top1),
    learning_rate: Math.fround(epoch.rate),
  });
  rmSync(join(at("run"), first));
  await train({ resume: at("run"), onEvent: withTensorboard(() => {}) });
  const [second] = filesOf(at("run")) as [string];
  const resumed = read(join(at("run"), second));
  expect(resumed[1]!.started).toBe(true);
  expect(resumed[1]!.step).toBeWithin(28, 31);
  expect(resumed.slice(2).map(({ step }) => step)).toEqual([50, 54]);
  expect(Object.keys(resumed[2]!.scalars)).toEqual([
    ...["within_epoch/loss", "within_epoch/error", "within_epoch/images_per_second"],
  ]);
});

test("a file that can't be written is one warning, and the training's events go on", () => {
  mkdirSync(at("gone"));
  const seen: TrainEvent[] = [];
  const report = withTensorboard((event) => seen.push(event));
  report({ type: "start", run: at("gone") } as TrainEvent);
  rmSync(at("gone"), { recursive: true });
  const step = {
    type: "step",
    epoch: 1,
    epochs: 1,
    batches: 100,
    loss: 1,
    top1: 1,
    imagesPerSecond: 1,
    secondsLeft: 1,
  };
  for (const batch of [50, 100]) report({ ...step, batch } as TrainEvent);
  expect(seen.map(({ type }) => type)).toEqual(["start", "step", "warning", "step"]);
  expect((seen[2] as { line: string }).line).toMatch(
    /^no more is written for TensorBoard: .*gone.events.*no such file/,
  );
});
