import { expect, test } from "bun:test";
import { deflateSync } from "node:zlib";
import { readVariable } from "../../src/data/sources/matlab.ts";
import { metaMat } from "../support/imagenet.ts";

/** Written by scipy.io.savemat 1.17 of three synsets in the devkit's form, with a matrix and a text beside them. */
const BY_SCIPY =
  "TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFR1ZSBOb3YgMjQgMTU6MzM6MzcgMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAOwAAAHic42NgYMgAYjYg5oDSIMAK5TMBMTMQM0LF8ksyUouANCcQGzCgAw4HCP3BHkILQPkMUFrEAQABowVZDwAAAF0BAAB4nONjYGDQYGdgYAPSHEDMxAABrFA+MxAzQjFQGUNxZV5xakkxUJ6FQRAq3gHEnj7BYUHORgaGRvGeLiADwv0gNByU5xelFCMLpOfkF6MI5JXmxidnZOakFKXmgQVQODAz8lJL4jNSM9MzSqBaSooSM/PiM3MT01OLGfiAghYMCP+wofmHEQmDACdUHAI+2IP0OyDpZ8GinxNJvwCUn2dgZGhoaW5hCRUHmeNBwBwJNHNA/OzMEoW0/AodhbDSnILUYoXcxOSi/JLMYmLME0IzTwgWyAr5aQpoDqQsnCD6DfDohwFk/dSyl2z9AVMcKLTfgfz0YWhiYmBuZoLkD0LxKYJmjigQl6TmJWfoKIRk5iUnKpSAycMriTSPQPpAceBo+iBDv0c/BekDCAzNTQxw+AObOWxo5oD4qXklmSWVVEkPKA6idr7Bpp8JTb8AXPsHe2RzBjJ9AAAniV/XDwAAACgAAAB4nONjYGAwAGI2IOYAYhYGCGCF8hmhYoxAWAWkBYC8ktSKEgAc4QK4";

test("reads what another program wrote", () => {
  const file = Buffer.from(BY_SCIPY, "base64");
  const synsets = readVariable(file, "synsets", "meta.mat");
  if (typeof synsets === "string") throw new Error("text");
  expect(synsets.map((synset) => Object.fromEntries(synset as ReadonlyMap<string, unknown>))).toMatchObject([
    { ILSVRC2012_ID: [1], WNID: "n02119789", words: "kit fox, Vulpes macrotis", num_children: [0], children: [] },
    { ILSVRC2012_ID: [2], WNID: "n01440764", words: "tench, Tinca tinca é", gloss: "gloss of n01440764" },
    { ILSVRC2012_ID: [1001], WNID: "n00001740", num_children: [2], children: [1, 2], num_train_images: [1300] },
  ]);
  expect(readVariable(file, "other", "meta.mat")).toEqual([0, 3, 1, 4, 2, 5]);
  expect(readVariable(file, "z", "meta.mat")).toBe("text");
  expect(() => readVariable(file, "y", "meta.mat")).toThrow('meta.mat: no variable "y"');
});

test("both byte orders, compressed or not", () => {
  const synsets = [
    { id: 7, wnid: "n01440764", words: "tench, Tinca tinca" },
    { id: 300, wnid: "n00001740", words: "é ü", children: [7, 7, 7] },
  ];
  const read = (compressed: boolean, little: boolean) =>
    readVariable(metaMat(synsets, { compressed, little }), "synsets", "meta.mat");
  const found = read(false, true);
  const [first, second] = found as readonly ReadonlyMap<string, unknown>[];
  expect([...first!.keys()]).toEqual(["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children"]);
  expect([first!.get("words"), second!.get("words"), second!.get("children")]).toEqual([
    "tench, Tinca tinca",
    "é ü",
    [7, 7, 7],
  ]);
  for (const [compressed, little] of [
    [true, true],
    [true, false],
    [false, false],
  ] as const)
    expect(read(compressed, little)).toEqual(found);
});

test("damage is named with its byte, and no size is believed", () => {
  const fails = (file: Uint8Array, message: string) =>
    expect(() => readVariable(file, "synsets", "m")).toThrow(message);
  const synsets = [{ id: 1, wnid: "n01440764", words: "tench" }];
  const file = Buffer.from(metaMat(synsets, { compressed: false }));
  fails(file.subarray(0, 100), 'm: no "IM" or "MI" at byte 126');
  fails(file.subarray(0, 300), "m: at byte 184 an element of 584 bytes, where there are 108");
  const long = Buffer.from(file);
  long.writeUInt32LE(0xffff_fff0, 132);
  fails(long, `m: at byte 128 an element of 4294967280 bytes, where there are ${file.length - 136}`);
  // 2,147,483,647 structs, of which one is there.
  const many = Buffer.from(file);
  many.writeUInt32LE(0x7fff_ffff, file.indexOf("synsets") - 16);
  fails(many, "2147483647 structs of 6 fields, more than");
  const some = Buffer.from(file);
  some.writeUInt32LE(90_000, file.indexOf("synsets") - 16);
  fails(some, 'an array without "ILSVRC2012_ID" of struct 1, of 90000');
  const bomb = deflateSync(Buffer.alloc(20 * 2 ** 20));
  const tag = Buffer.alloc(8);
  tag.writeUInt32LE(15, 0);
  tag.writeUInt32LE(bomb.length, 4);
  fails(Buffer.concat([file.subarray(0, 128), tag, bomb]), "element at byte 128 inflates to more than 16777216 bytes");
  fails(Buffer.concat([file.subarray(0, 128), tag, bomb.fill(7)]), "element at byte 128 is damaged");
});
