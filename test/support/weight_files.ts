/** Files of weights: the golden ones that test/golden/weights.py wrote, and some that are put together here. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { field, float, message, number, text, type Message } from "../../src/io/protobuf_writer.ts";
import golden from "../golden/weights/logits.json";

export const LOGITS: readonly (readonly number[])[] = golden.logits;

/** The parameters of the `small` network. */
export const SHAPES: Readonly<Record<string, readonly number[]>> = {
  ...{ "conv1.weight": [16, 3, 5, 5], "conv1.bias": [16], "conv2.weight": [32, 16, 3, 3], "conv2.bias": [32] },
  ...{ "conv3.weight": [64, 32, 3, 3], "conv3.bias": [64], "fc4.weight": [10, 1024], "fc4.bias": [10] },
};

export function goldenFile(name: string): Uint8Array {
  return Bun.gunzipSync(readFileSync(join(import.meta.dir, "../golden/weights", `${name}.gz`)));
}

/** What weights.py puts into a parameter. */
export function goldenValues(name: string): Float32Array {
  const names = Object.keys(SHAPES);
  const layer = Math.floor(names.indexOf(name) / 2);
  const size = SHAPES[name]!.reduce((product, side) => product * side, 1);
  return Float32Array.from(
    { length: size },
    (_, i) => (((i * 7919 + Math.floor(i / 9) * 31 + layer * 17) % 15) - 7) / 64,
  );
}

/** A pickle of protocol 2 whose program is this. */
export function pickle(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    [..."\x80\x02", ...parts, "."].map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
}

export interface ZipFile {
  readonly contents: Uint8Array;
  readonly deflated?: boolean;
  /** What the directory says of its size. */
  readonly size?: number;
  readonly method?: number;
  readonly flags?: number;
}

/** A zip archive; with `large` its directory is in ZIP64 form. */
export function zip(files: readonly (readonly [name: string, file: ZipFile])[], large = false): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const header = (length: number, write: (buffer: Buffer) => void) => {
    const buffer = Buffer.alloc(length);
    write(buffer);
    return buffer;
  };
  for (const [name, { contents, deflated = false, size = contents.length, method, flags = 0 }] of files) {
    const bytes = deflated ? deflateRawSync(contents) : contents;
    const common = (buffer: Buffer, from: number) => {
      buffer.writeUInt16LE(flags, from + 2);
      buffer.writeUInt16LE(method ?? (deflated ? 8 : 0), from + 4);
      buffer.writeUInt32LE(large ? 0xffff_ffff : bytes.length, from + 14);
      buffer.writeUInt32LE(large ? 0xffff_ffff : size, from + 18);
      buffer.writeUInt16LE(name.length, from + 22);
    };
    const local = header(30, (buffer) => {
      buffer.writeUInt32LE(0x04034b50);
      common(buffer, 4);
    });
    const extra = header(large ? 28 : 0, (buffer) => {
      if (!large) return;
      buffer.writeUInt16LE(1);
      buffer.writeUInt16LE(24, 2);
      [size, bytes.length, at].forEach((value, i) => buffer.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
    });
    const entry = header(46, (buffer) => {
      buffer.writeUInt32LE(0x02014b50);
      common(buffer, 6);
      buffer.writeUInt16LE(extra.length, 30);
      buffer.writeUInt32LE(large ? 0xffff_ffff : at, 42);
    });
    directory.push(entry, Buffer.from(name), extra);
    parts.push(local, Buffer.from(name), bytes);
    at += 30 + name.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end64 = header(large ? 76 : 0, (buffer) => {
    if (!large) return;
    buffer.writeUInt32LE(0x06064b50);
    [files.length, files.length, size, at].forEach((value, i) => buffer.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
    buffer.writeUInt32LE(0x07064b50, 56);
    buffer.writeBigUInt64LE(BigInt(at + size), 64);
  });
  const end = header(22, (buffer) => {
    buffer.writeUInt32LE(0x06054b50);
    buffer.writeUInt16LE(large ? 0xffff : files.length, 10);
    buffer.writeUInt32LE(large ? 0xffff_ffff : size, 12);
    buffer.writeUInt32LE(large ? 0xffff_ffff : at, 16);
  });
  return Buffer.concat([...parts, ...directory, end64, end]);
}

/** How a Caffe net's blobs are written. */
export interface CaffeForm {
  /** As layers were written before 2014, with four sides for each blob. */
  readonly old?: boolean;
  /** One field a number. */
  readonly unpacked?: boolean;
  readonly double?: boolean;
}

type CaffeLayer =
  | { readonly kind: "pool" | "lrn"; readonly name: string; readonly k?: number }
  | { readonly kind: "weights"; readonly name: string };

/** A .caffemodel with these layers; those with weights get the golden ones. */
export function caffemodel(layers: readonly CaffeLayer[], form: CaffeForm = {}): Uint8Array {
  const { old = false } = form;
  const encoded = layers.map((layer) => {
    const kinds = { pool: ["Pooling", 17], lrn: ["LRN", 15], weights: ["Convolution", 4] } as const;
    const [kind, oldKind] = kinds[layer.kind];
    const blobs = layer.kind === "weights" ? ["weight", "bias"].map((role) => `${layer.name}.${role}`) : [];
    const lrn = message(
      number(1, 5),
      float(2, 1e-4),
      float(3, 0.75),
      float(5, layer.kind === "lrn" ? (layer.k ?? 1) : 1),
    );
    const fields = message(
      field(old ? 4 : 1, text(layer.name)),
      old ? number(5, oldKind) : field(2, text(kind)),
      ...blobs.map((name) => field(old ? 6 : 7, blob(SHAPES[name]!, goldenValues(name), form))),
      ...(layer.kind === "lrn" ? [field(old ? 18 : 118, lrn)] : []),
    );
    return field(old ? 2 : 100, fields);
  });
  return Buffer.concat(message(field(1, text("net")), ...encoded));
}

/** BlobProto */
export function blob(shape: readonly number[], values: Float32Array, form: CaffeForm = {}): Message {
  const sides = [...Array<number>(Math.max(0, 4 - shape.length)).fill(1), ...shape];
  const bytes = (array: Float32Array | Float64Array) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return message(
    ...(form.old
      ? sides.map((side, i) => number(1 + i, side))
      : [field(7, message(...shape.map((side) => number(1, side))))]),
    ...(form.unpacked
      ? [...values].map((value) => float(5, value))
      : [form.double ? field(8, bytes(Float64Array.from(values))) : field(5, bytes(values))]),
  );
}

/** The layers of `small` as Caffe would have them. */
export const SMALL: readonly CaffeLayer[] = ["conv1", "conv2", "conv3"]
  .flatMap((name): CaffeLayer[] => [
    { kind: "weights", name },
    { kind: "pool", name: `pool of ${name}` },
  ])
  .concat({ kind: "weights", name: "fc4" });
