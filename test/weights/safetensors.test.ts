/** The file format, and files that lie. */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../src/errors.ts";
import { openSafetensors, writeSafetensors, type TensorSource } from "../../src/weights/safetensors.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

const tensor = (name: string, shape: number[], numbers: number[]): TensorSource => ({
  name,
  shape,
  read: async () => Float32Array.from(numbers),
});

/** A file with this header, as text or anything JSON can hold, followed by this many bytes of numbers. */
function file(name: string, header: unknown, bytes = 64, announced?: bigint): string {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, announced ?? BigInt(text.length), true);
  const path = join(folder.path, `${name}.safetensors`);
  writeFileSync(path, Buffer.concat([new Uint8Array(length.buffer), text, new Uint8Array(bytes)]));
  return path;
}

const entry = (changes: object = {}) => ({ w: { dtype: "F32", shape: [2, 8], data_offsets: [0, 64], ...changes } });

test("what is written is read again, and equal contents give equal bytes", async () => {
  const [a, b] = [join(folder.path, "a.safetensors"), join(folder.path, "b.safetensors")];
  const tensors = [
    tensor("x.weight", [2, 3], [1, 2, 3, -4, 1e-30, 6]),
    tensor("scalar", [], [7]),
    tensor("no", [0], []),
  ];
  for (const path of [a, b]) await writeSafetensors(path, tensors, { format: "f", note: 'ä\n"' });
  expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  const opened = openSafetensors(a);
  expect(opened.metadata).toEqual({ format: "f", note: 'ä\n"' });
  expect([...opened.tensors.keys()]).toEqual(["x.weight", "scalar", "no"]);
  expect(opened.tensors.get("x.weight")!.shape).toEqual([2, 3]);
  expect([...opened.tensors.get("x.weight")!.read()]).toEqual([...Float32Array.of(1, 2, 3, -4, 1e-30, 6)]);
  expect([...opened.tensors.get("scalar")!.read()]).toEqual([7]);
  expect(opened.tensors.get("no")!.read().length).toBe(0);
  opened.close();
});

test("the bytes are those of the format: length, JSON padded to eight bytes, numbers in order", async () => {
  const path = join(folder.path, "layout.safetensors");
  await writeSafetensors(path, [tensor("w", [2], [1, 2]), tensor("b", [1], [3])], { k: "v" });
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  expect(length % 8).toBe(0);
  const header = bytes.subarray(8, 8 + length);
  const sums = JSON.parse(header.toString()).__metadata__["alexnet.xxh3"] as string;
  const summed = Buffer.from(header.toString().replace(sums, sums.replace(/[^ ]/g, "0")));
  const parts = [summed, bytes.subarray(8 + length, -4), bytes.subarray(-4)];
  const hex = (part: Uint8Array) => Bun.hash.xxHash3(part).toString(16).padStart(16, "0");
  expect(sums.split(" ")).toEqual(parts.map(hex));
  expect(JSON.parse(header.toString())).toEqual({
    __metadata__: { k: "v", "alexnet.xxh3": sums },
    w: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
    b: { dtype: "F32", shape: [1], data_offsets: [8, 12] },
  });
  expect([0, 4, 8].map((at) => bytes.readFloatLE(8 + length + at))).toEqual([1, 2, 3]);
  expect(bytes.length).toBe(8 + length + 12);
});

test("a failing write leaves the old file and nothing else", async () => {
  const own = temporaryFolder();
  const path = join(own.path, "w.safetensors");
  await writeSafetensors(path, [tensor("w", [1], [1])], {});
  const before = readFileSync(path);
  const failing: TensorSource = { name: "w", shape: [1], read: () => Promise.reject(new Error("the device is gone")) };
  await expect(writeSafetensors(path, [failing], {})).rejects.toThrow("the device is gone");
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(own.path)).toEqual(["w.safetensors"]);
  own.remove();
});

test("a bit that is not what was written is found, wherever it is", async () => {
  const path = join(folder.path, "bits.safetensors");
  await writeSafetensors(path, [tensor("w", [3], [1, 2, 3]), tensor("b", [1], [-3])], { k: "vü", n: "x".repeat(9) });
  const bytes = readFileSync(path);
  const readAll = () => {
    const opened = openSafetensors(path);
    try {
      for (const { read } of opened.tensors.values()) read();
    } finally {
      opened.close();
    }
  };
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    writeFileSync(path, flipped);
    expect(readAll, `bit ${bit & 7} of byte ${bit >> 3} of ${bytes.length}`).toThrow(CheckpointError);
  }
  const zeroed = Uint8Array.from(bytes).fill(0, bytes.length - 8);
  writeFileSync(path, zeroed);
  expect(readAll).toThrow(
    /bits\.safetensors: damaged: w, bytes \d+ to \d+, has the checksum [\da-f]{16} instead of [\da-f]{16}/,
  );
  writeFileSync(path, bytes);
  readAll();
});

describe("a file that is damaged, or another kind of file", () => {
  const cases: Record<string, [path: () => string, message: RegExp]> = {
    missing: [() => join(folder.path, "none.safetensors"), /can't be opened: no such file or folder/],
    "a folder": [() => folder.path, /not a file|it is a folder/],
    empty: [() => (writeFileSync(join(folder.path, "empty"), ""), join(folder.path, "empty")), /only 0 bytes/],
    "an absurd header length": [
      () => file("absurd", "{}", 64, 2n ** 63n),
      /its header should have 9223372036854776000 bytes/,
    ],
    "a header longer than the file": [
      () => file("long", "{}", 8, 100n),
      /its header should have 100 bytes, the file has 18/,
    ],
    "no JSON": [() => file("text", "{w:1}"), /its header is not JSON/],
    "no UTF-8": [() => file("latin", "", 64, 4n), /its header is not JSON/],
    "a list": [() => file("list", [1]), /its header is not an object/],
    "a tensor that is no object": [() => file("number", { w: 1 }), /header's entry for w is not an object/],
    "metadata that are no strings": [() => file("meta", { __metadata__: { a: 1 } }), /metadata a is not a string/],
    "complex numbers": [() => file("complex", entry({ dtype: "C64" })), /w is of type C64; only plain numbers/],
    "no type": [() => file("untyped", entry({ dtype: undefined })), /w is of type undefined/],
    "a negative size": [() => file("negative", entry({ shape: [-2, -8] })), /no valid shape and data_offsets/],
    "a broken size": [() => file("broken", entry({ shape: [1.5] })), /no valid shape and data_offsets/],
    "a shape that is no list": [() => file("shape", entry({ shape: 16 })), /no valid shape and data_offsets/],
    "one offset": [() => file("one", entry({ data_offsets: [0] })), /no valid shape and data_offsets/],
    "offsets the wrong way round": [() => file("turned", entry({ data_offsets: [64, 0] })), /needs 64 bytes, has -64/],
    "a place too small": [
      () => file("tight", entry({ data_offsets: [0, 60] })),
      /w of shape 2×8 needs 64 bytes, has 60/,
    ],
    "an absurd size": [() => file("huge", entry({ shape: [2 ** 50, 2 ** 50] })), /needs 5\.07\d+e\+30 bytes/],
    "offsets outside of the file": [
      () => file("outside", entry({ data_offsets: [64, 128] })),
      /cut short: w ends at byte \d+, the file at \d+/,
    ],
    "cut short": [() => file("cut", entry(), 63), /cut short: w ends at byte \d+, the file at \d+/],
  };
  for (const [title, [path, message]] of Object.entries(cases)) {
    test(title, () => {
      const where = path();
      const open = () => openSafetensors(where);
      expect(open).toThrow(CheckpointError);
      expect(open).toThrow(message);
      expect(open).toThrow(where);
    });
  }

  test("a prototype's name is a name like any other", () => {
    const path = file("proto", `{"__proto__": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}`);
    const opened = openSafetensors(path);
    expect([...opened.tensors.keys()]).toEqual(["__proto__"]);
    expect(opened.tensors.get("constructor")).toBeUndefined();
    opened.close();
  });

  test("cut while it is open: the read says so", () => {
    const path = file("shrinks", entry());
    const opened = openSafetensors(path);
    writeFileSync(path, readFileSync(path).subarray(0, -10));
    expect(() => opened.tensors.get("w")!.read()).toThrow(/cut short: \d+ bytes expected/);
    opened.close();
  });
});
