/** ImageNet as it is distributed, of a few images: archives in archives, the devkit with its meta.mat. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import type { Files } from "./folders.ts";
import { drawn, plain } from "./images.ts";
import { tar } from "./tar.ts";

export interface Synset {
  readonly id: number;
  readonly wnid: string;
  readonly words: string;
  /** Of a synset further up in the tree. */
  readonly children?: readonly number[];
}

export interface MatOptions {
  readonly compressed?: boolean;
  readonly little?: boolean;
  /** ILSVRC2012_ID or ILSVRC2010_ID. */
  readonly idField?: string;
}

/** A MAT-file of level 5 with another variable and `synsets`, with the fields of the devkit's meta.mat. */
export function metaMat(synsets: readonly Synset[], options: MatOptions = {}): Uint8Array {
  const { compressed = true, little = true, idField = "ILSVRC2012_ID" } = options;
  const u32 = (...values: number[]) => {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, i) => (little ? bytes.writeUInt32LE(value, 4 * i) : bytes.writeUInt32BE(value, 4 * i)));
    return bytes;
  };
  const element = (type: number, body: Buffer): Buffer => {
    if (body.length > 0 && body.length <= 4)
      return Buffer.concat([u32((body.length << 16) | type), body, Buffer.alloc(4 - body.length)]);
    return Buffer.concat([u32(type, body.length), body, Buffer.alloc((8 - (body.length % 8)) % 8)]);
  };
  const matrix = (kind: number, shape: readonly number[], name: string, ...rest: Buffer[]) =>
    element(
      14,
      Buffer.concat([element(6, u32(kind, 0)), element(5, u32(...shape)), element(1, Buffer.from(name)), ...rest]),
    );
  const doubles = (values: readonly number[]) => {
    const bytes = Buffer.alloc(8 * values.length);
    values.forEach((value, i) => (little ? bytes.writeDoubleLE(value, 8 * i) : bytes.writeDoubleBE(value, 8 * i)));
    return matrix(6, [1, values.length], "", element(9, bytes));
  };
  const text = (value: string) => {
    const units = Buffer.from(value, "utf16le");
    return matrix(4, [1, value.length], "", element(4, little ? units : units.swap16()));
  };
  const fields: readonly [string, (synset: Synset) => Buffer][] = [
    [idField, ({ id }) => doubles([id])],
    ["WNID", ({ wnid }) => text(wnid)],
    ["words", ({ words }) => text(words)],
    ["gloss", ({ words }) => text(`what ${words} is`)],
    ["num_children", ({ children = [] }) => doubles([children.length])],
    ["children", ({ children = [] }) => doubles(children)],
  ];
  const names = Buffer.concat(fields.map(([name]) => Buffer.from(name.padEnd(16, "\0"))));
  const body = [element(5, u32(16)), element(1, names)];
  for (const synset of synsets) for (const [, make] of fields) body.push(make(synset));
  const pack = (variable: Buffer) => {
    if (!compressed) return variable;
    const packed = deflateSync(variable);
    return Buffer.concat([u32(15, packed.length), packed]);
  };
  const header = Buffer.alloc(128, " ");
  header.write("MATLAB 5.0 MAT-file");
  header.write(little ? "\0\x01IM" : "\x01\0MI", 124, "latin1");
  const variables = [
    matrix(4, [1, 4], "note", element(16, Buffer.from("text"))),
    matrix(2, [synsets.length, 1], "synsets", ...body),
  ];
  return Buffer.concat([header, ...variables.map(pack)]);
}

export interface Photo {
  readonly wnid: string;
  readonly bytes: Uint8Array;
}

/** Photos of as many synsets: those of TEST_DATA, or JPEGs drawn on the spot. */
export async function photos(count: number): Promise<Photo[]> {
  const folder = process.env["TEST_DATA"] && join(process.env["TEST_DATA"], "imagenet-sample");
  if (folder) {
    const wnids = readdirSync(folder).sort().slice(0, count);
    return wnids.map((wnid) => {
      const [file] = readdirSync(join(folder, wnid));
      return { wnid, bytes: readFileSync(join(folder, wnid, file!)) };
    });
  }
  const wnids = ["n01440764", "n01443537", "n01484850", "n01491361", "n01494475"].slice(0, count);
  return Promise.all(
    wnids.map(async (wnid, k) => ({ wnid, bytes: await drawn(50, 40, (x, y) => [5 * x, 6 * y, 50 * k]).jpeg(90) })),
  );
}

/**
 * The three archives of ILSVRC-2012. Each synset has two images to train on, and one to validate with; those go in
 * the opposite order of the synsets, and the challenge's numbers in another.
 */
export async function ilsvrc(own: readonly Photo[], mat: MatOptions = {}): Promise<Record<string, Uint8Array>> {
  const other = await plain(90);
  const inner = own.map(({ wnid, bytes }) => ({
    path: `${wnid}.tar`,
    contents: tar({ path: `${wnid}_18.JPEG`, contents: bytes }, { path: `${wnid}_10.JPEG`, contents: other }),
  }));
  const val = own.toReversed().map(({ bytes }, k) => ({ path: valName(k + 1), contents: bytes }));
  return {
    "ILSVRC2012_img_train.tar": tar(...inner.toReversed()),
    "ILSVRC2012_img_val.tar": tar(...val.toReversed()),
    "ILSVRC2012_devkit_t12.tar.gz": devkit(own, mat),
  };
}

export const valName = (k: number) => `ILSVRC2012_val_${String(k).padStart(8, "0")}.JPEG`;

/** The challenge's number of synset k of n: neither the order of the IDs nor the opposite. */
export const challengeNumber = (k: number, n: number) => ((k + 2) % n) + 1;

export function devkit(own: readonly Photo[], mat: MatOptions = {}): Uint8Array {
  const files = devkitFiles(own, mat);
  return Bun.gzipSync(Buffer.from(tar(...Object.entries(files).map(([path, contents]) => ({ path, contents })))));
}

export function devkitFiles(own: readonly Photo[], mat: MatOptions = {}): Files {
  const numbers = own.map((_, k) => challengeNumber(k, own.length));
  const synsets = own.map(({ wnid }, k) => ({ id: numbers[k]!, wnid, words: `words of ${wnid}` }));
  const above = { id: 1001, wnid: "n00001740", words: "entity", children: numbers };
  return {
    "ILSVRC2012_devkit_t12/readme.txt": "text",
    "ILSVRC2012_devkit_t12/data/meta.mat": metaMat([...synsets, above], mat),
    "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": `${numbers.toReversed().join("\n")}\n`,
  };
}
