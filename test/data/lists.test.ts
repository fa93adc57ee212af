import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import { csvRows } from "../../src/data/sources/csv.ts";
import { temporaryFolder } from "../support/folders.ts";
import { plain } from "../support/images.ts";
import { bytesOf, complaint, list, maker } from "../support/sets.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const { folder } = maker(root);

let image: Uint8Array;
let base: string;
beforeAll(async () => {
  image = await plain(200, 10, 10);
  base = await folder({ "a/1.jpg": image, "b, c.jpg": await plain(3) });
});

let made = 0;
async function written(text: string | Uint8Array, ending = ".csv"): Promise<string> {
  const path = join(base, `list${made++}${ending}`);
  await Bun.write(path, text);
  return path;
}
const open = async (text: string, ending?: string) => openDataset(await written(text, ending), { holdOut: 0 });
const shown = async (text: string, ending?: string) => list((await open(text, ending)).train, base);
const refused = async (text: string | Uint8Array, ending?: string) => {
  const path = await written(text, ending);
  const message = await complaint(openDataset(path, { holdOut: 0 }));
  expect(message).toStartWith(path);
  return message.slice(path.length);
};

const rows = (text: string) => [...csvRows(text, "x.csv")];

test("cells of RFC 4180", () => {
  expect(rows('a,"b,""c""\nd",\r\n\r\n"",e\n')).toEqual([
    { line: 1, cells: ["a", 'b,"c"\nd', ""] },
    { line: 4, cells: ["", "e"] },
  ]);
  expect(rows('""""')).toEqual([{ line: 1, cells: ['"'] }]);
  expect(rows('"""a""",b')).toEqual([{ line: 1, cells: ['"a"', "b"] }]);
  expect(rows("a,b\rc,d")).toEqual([
    { line: 1, cells: ["a", "b"] },
    { line: 2, cells: ["c", "d"] },
  ]);
  expect(() => rows('a\n"b')).toThrow('x.csv, line 2: a quote (") is opened and not closed');
  expect(() => rows('a\n"b"c')).toThrow('x.csv, line 2: "c" behind a closing quote');
  expect(() => rows(`a\n${"x".repeat(70_000)}`)).toThrow("x.csv, line 2: more than 65536 characters");
  expect(() => rows(`a\n"${"x".repeat(70_000)}"`)).toThrow("x.csv, line 2: more than 65536 characters");
  expect(() => rows(`a\n${"x,".repeat(40_000)}`)).toThrow("x.csv, line 2: more than 65536 characters");
});

describe(".csv", () => {
  test("without column names, and with some in any order", async () => {
    const expected = ["cat: a/1.jpg", "dog: b, c.jpg"];
    expect(await shown('a/1.jpg,cat\n"b, c.jpg",dog\n')).toEqual(expected);
    expect(await shown('\ufefflabel,width,FileName\r\ncat,5,./a/1.jpg\r\ndog,7,"b, c.jpg"\r\n')).toEqual(expected);
    expect(await shown('path,class\na\\x\\..\\1.jpg, cat\n"b, c.jpg",dog')).toEqual(expected);
    const { train } = await open("a/1.jpg,cat\n");
    expect((await bytesOf(train, 0)).equals(image)).toBe(true);
  });

  test("classes are sorted, numbers as numbers, synsets by their words", async () => {
    const classes = async (...labels: string[]) =>
      (await open(labels.map((label) => `a/1.jpg,${label}\n`).join(""))).train.classes;
    expect(await classes("b", "Ä", "a", "b")).toEqual(["a", "b", "Ä"]);
    expect(await classes("10", "9", "0")).toEqual(["0", "9", "10"]);
    expect(await classes("n01443537", "n01440764")).toEqual(["tench, Tinca tinca", "goldfish, Carassius auratus"]);
  });

  test("a split", async () => {
    const text = "path,label,split\na/1.jpg,x,train\na/1.jpg,y,Training\na/1.jpg,y,valid\na/1.jpg,x,test\n";
    const { train, val } = await openDataset(await written(text));
    expect([list(train, base), list(val, base)]).toEqual([["x: a/1.jpg", "y: a/1.jpg"], ["y: a/1.jpg"]]);
    expect(await refused(text.replace("valid", "vla"))).toBe(
      ', line 4: the split is "vla": expected train, val or test',
    );
    expect(await refused(text.replace("valid", ""))).toBe(
      ": of lines 2 and 4 only one has a split: give one to all, or none",
    );
  });

  test("paths stay below the list's folder", async () => {
    const advice = "give paths below the list's folder";
    expect(await refused("a/1.jpg,x\n../set0/a/1.jpg,x\n")).toBe(
      `, line 2: "../set0/a/1.jpg" leads out of the folder: ${advice}`,
    );
    expect(await refused("a/../../x.jpg,x\n")).toContain("leads out of the folder");
    expect(await refused("a/..\\..\\x.jpg,x\n")).toContain("leads out of the folder");
    expect(await refused("/etc/x.jpg,x\n")).toBe(`, line 1: "/etc/x.jpg" is absolute: ${advice}`);
    for (const path of ["C:\\x.jpg", "c:x.jpg", "\\\\server\\x.jpg"])
      expect(await refused(`${path},x\n`)).toContain("is absolute");
    expect(await refused("a\0.jpg,x\n")).toContain("holds a zero byte");
    expect(await refused("path,label\n.,x\n")).toContain("is no file");
  });

  test("what is no list", async () => {
    expect(await refused("")).toBe(" lists no images: expected a line with path,label for each");
    expect(await refused("year,count\n1,2\n")).toBe(
      ', line 1: "year,count" names no columns (path,label,split) and no image',
    );
    expect(await refused("a/1.jpg\n")).toBe(", line 1: 1 cell, too few for a path and a label");
    expect(await refused("a/1.jpg,\n")).toBe(", line 1: no label for a/1.jpg");
    expect(await refused(Buffer.from([0x61, 0xff]))).toBe(" is no text in UTF-8: save it as such");
    // Whether an image is there shows when it is read, as with a folder's broken link.
    const { train } = await open("a/none.jpg,x\n");
    await expect(train.read(0)).rejects.toThrow("no such file or folder");
  });
});

describe(".jsonl", () => {
  test("objects, a line each", async () => {
    const text =
      '{"file_name": "a/1.jpg", "label": "cat", "split": null}\n\n{"path": "b, c.jpg", "category": "dog", "size": [1]}';
    expect(await shown(text, ".jsonl")).toEqual(["cat: a/1.jpg", "dog: b, c.jpg"]);
    const numbers = '{"image": "a/1.jpg", "label": 10}\n{"image": "a/1.jpg", "label": 9}\n';
    expect((await open(numbers, ".ndjson")).train.classes).toEqual(["9", "10"]);
  });

  test("what is none", async () => {
    const good = '{"path": "a/1.jpg", "label": 1}\n';
    expect(await refused(`${good}{`, ".jsonl")).toStartWith(", line 2: no JSON (");
    expect(await refused(`${good}7`, ".jsonl")).toBe(", line 2: no JSON object");
    const expected = 'expected {"path": "…", "label": a text or a whole number}';
    for (const line of ["[]", '{"path": "a/1.jpg"}', '{"path": 1, "label": 1}', '{"path": "a/1.jpg", "label": [1]}'])
      expect(await refused(good + line, ".jsonl")).toBe(`, line 2: ${expected}`);
    expect(await refused('{"path": "../x.jpg", "label": 1}', ".jsonl")).toContain("leads out of the folder");
    expect(await refused(`${good}${" ".repeat(70_000)}`, ".jsonl")).toContain("line 2: more than 65536 characters");
  });
});
