/** Schemas of options: parsing command lines, and the checks and types of a function's options. */
import { describe, expect, test } from "bun:test";
import { readArguments } from "../../src/cli/arguments.ts";
import { UsageError } from "../../src/errors.ts";
import { wholeFromTo } from "../../src/rules.ts";
import { count, flag, number, oneOf, onOff, parsed, text, texts, validate, type OptionsOf } from "../../src/schema.ts";

const OPTIONS = {
  data: text("A set", { place: "word", needed: true }),
  images: texts("Images", { name: "image", place: "any" }),
  holdOut: number("A share"),
  sides: parsed("number[]", (words) => words.split("x").map(Number), "Sides"),
  models: texts("Models"),
  batch: count("Images at once", { rule: wholeFromTo(1, 8) }),
  views: oneOf([1, 2, 10], "Views"),
  encoding: oneOf(["jpeg", "raw"], "Encoding", { name: "as" }),
  blas: onOff("BLAS"),
  full: flag("All of it"),
  resume: text("A run", { bare: "latest" }),
  onlyForPrograms: text(),
};
type Options = OptionsOf<typeof OPTIONS>;

const read = (line: string) => readArguments(line.split(" "), OPTIONS);

describe("a command line", () => {
  test.each([
    ["photos", { data: "photos" }],
    ["photos --hold-out 0.2 --batch=3", { data: "photos", holdOut: 0.2, batch: 3 }],
    ["--hold-out -1 photos", { data: "photos", holdOut: -1 }],
    ["photos a.png - b.png", { data: "photos", images: ["a.png", "-", "b.png"] }],
    ["-- --photos --a.png", { data: "--photos", images: ["--a.png"] }],
    ["photos --models a,b --sides 3x4", { data: "photos", models: ["a", "b"], sides: [3, 4] }],
    [
      "photos --views 10 --as raw --blas off --full",
      { data: "photos", views: 10, encoding: "raw", blas: false, full: true },
    ],
    ["photos --no-full", { data: "photos", full: false }],
    ["photos --full=false", { data: "photos", full: false }],
    ["photos --resume", { data: "photos", resume: "latest" }],
    ["photos --resume --full", { data: "photos", resume: "latest", full: true }],
    ["photos --resume run-1", { data: "photos", resume: "run-1" }],
    ["photos --models a --models b=c", { data: "photos", models: ["b=c"] }],
  ])("%s", (line, values) => {
    expect(read(line)).toEqual({ images: [], ...values });
  });

  test.each([
    ["--full", "DATA is missing; see --help"],
    ["photos --batch", "--batch needs a value"],
    ["photos --batch --full", "--batch needs a value"],
    ["photos --batch many", "--batch many: must be a number"],
    ["photos --batch=", "--batch : must be a number"],
    ["photos --blas no", "--blas no: must be on or off"],
    ["photos --holdOut 1", 'unknown option --holdOut; did you mean "--hold-out"?; --help lists them'],
    ["photos --no-batch", "unknown option --no-batch; --help lists them"],
    ["photos --batch-size 3", "unknown option --batch-size: here it is --batch"],
    ["photos --batch_size 3", "unknown option --batch_size: here it is --batch"],
    // Only options that the command has are named.
    ["photos --lr 3", "unknown option --lr; --help lists them"],
    [
      "photos --imgsz 3",
      "unknown option --imgsz: the network says which size of images it takes: `bun run models` lists",
    ],
    ["photos -b 3", "unknown option -b; --help lists them"],
    ["photos --only-for-programs x", "unknown option --only-for-programs; --help lists them"],
  ])("%s is refused", (line, message) => {
    expect(() => read(line)).toThrow(UsageError);
    expect(() => read(line)).toThrow(message);
  });

  test("an extra argument", () => {
    expect(() => readArguments(["a", "b"], { data: OPTIONS.data })).toThrow('unexpected argument "b"; see --help');
  });

  test("a required list of words", () => {
    const some = { images: texts("Images", { name: "image", place: "words", needed: true }) };
    expect(readArguments(["a"], some)).toEqual({ images: ["a"] });
    expect(() => readArguments([], some)).toThrow("IMAGE is missing; see --help");
  });
});

describe("a function's options", () => {
  test("valid options have their types", () => {
    const options: Options = { data: "x", views: 10, encoding: "raw", models: ["a"], batch: 8, onlyForPrograms: "y" };
    validate("f", options, OPTIONS);
    // @ts-expect-error data is required
    ((): Options => ({}))();
    // @ts-expect-error 3 is not an allowed number of views
    ((): Options => ({ data: "x", views: 3 }))();
  });

  test.each<[options: object, message: string]>([
    [{}, "f: data is undefined, must be a string"],
    [{ data: "x", batches: 1 }, 'f: there is no option "batches"; did you mean "batch"?'],
    [{ data: "x", batch: "1" }, 'f: batch is "1", must be a number'],
    [{ data: "x", batch: 9 }, "f: batch 9: must be a whole number from 1 to 8"],
    [{ data: "x", views: 3 }, "f: views 3: must be 1, 2 or 10"],
    [{ data: "x", encoding: "png" }, "f: encoding png: must be jpeg or raw"],
  ])("%p are refused", (options, message) => {
    expect(() => validate("f", options, OPTIONS)).toThrow(UsageError);
    expect(() => validate("f", options, OPTIONS)).toThrow(message);
  });
});
