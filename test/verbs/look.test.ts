/** The contact sheet, pixel by pixel: decoded again, it must show the images as the network sees them. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { drawViews } from "../../src/data/augmentation.ts";
import { VIEW } from "../../src/engine/ops/augment.ts";
import type { Notice } from "../../src/ranks/context.ts";
import { look, type LookOptions } from "../../src/verbs/look/look.ts";
import { cli, jsonLines } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { drawn, plain } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);

/** Sides of the network's crops, and of their pictures on the sheet: the largest integer multiple that fits. */
const CROP = 32;
const SHOWN = 160;
/** The original, the centre crop and five versions. */
const COLUMNS = 7;

type Colour = readonly [red: number, green: number, blue: number];
const COLOURS: Readonly<Record<string, Colour>> = {
  amber: [250, 180, 20],
  moss: [60, 110, 40],
  violet: [130, 40, 190],
};

/** Three classes of three images of one colour each. */
async function plainSet(name: string): Promise<string> {
  for (const [label, colour] of Object.entries(COLOURS)) {
    const image = await plain(...colour, CROP);
    await writeFiles(join(at(name), label), { "0.png": image, "1.png": image, "2.png": image });
  }
  return at(name);
}

/** Draws a sheet with one thread and the network `small`, whose crops are the whole image. */
async function sheet(options: LookOptions) {
  const result = await look({ model: "small", threads: 1, out: at("sheet.png"), ...options });
  return { result, picture: await decode(result.file) };
}

class Picture {
  readonly #rgba: Uint8Array;
  readonly width: number;
  readonly height: number;

  constructor(rgba: Uint8Array, width: number, height: number) {
    [this.#rgba, this.width, this.height] = [rgba, width, height];
  }

  colour(x: number, y: number): Colour {
    const from = 4 * (y * this.width + x);
    return [...this.#rgba.subarray(from, from + 3)] as unknown as Colour;
  }

  /** The rectangles of a colour, at least 100 × 100 pixels, from left to right and from top to bottom. */
  squares(colour: Colour): { x: number; y: number; width: number; height: number }[] {
    const found: { x: number; y: number; width: number; height: number }[] = [];
    for (let y = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++) {
        if (!this.#is(x, y, colour) || this.#is(x - 1, y, colour) || this.#is(x, y - 1, colour)) continue;
        let [width, height] = [1, 1];
        while (this.#is(x + width, y, colour)) width++;
        while (this.#is(x, y + height, colour)) height++;
        if (width >= 100 && height >= 100) found.push({ x, y, width, height });
      }
    }
    return found;
  }

  /** Rounding in the mean's sum may be off by one level. */
  #is(x: number, y: number, colour: Colour): boolean {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return false;
    return this.colour(x, y).every((value, c) => Math.abs(value - colour[c]!) <= 1);
  }
}

async function decode(file: string): Promise<Picture> {
  const bytes = readFileSync(file);
  const { width, height } = await new Transformer(bytes).metadata();
  return new Picture(await new Transformer(bytes).rawPixels(), width, height);
}

describe("the images", () => {
  test("a row per class: each colour seven times, all of one size and in line, one row below the other", async () => {
    const data = await plainSet("plain");
    const { result, picture } = await sheet({ data, images: 3 });
    expect([result.width, result.height]).toEqual([picture.width, picture.height]);
    expect(result.bytes).toBe(readFileSync(result.file).length);
    expect(result).toMatchObject({ classes: 3, images: 9, measured: 9, validation: null, bad: [], network: "small" });
    const rows = Object.values(COLOURS).map((colour) => picture.squares(colour));
    for (const row of rows) {
      expect(row.map(({ width, height }) => [width, height])).toEqual(Array(COLUMNS).fill([SHOWN, SHOWN]));
      expect(new Set(row.map(({ y }) => y)).size).toBe(1);
      expect(row.map(({ x }) => x)).toEqual(rows[0]!.map(({ x }) => x));
    }
    const [first, second, third] = rows.map(([square]) => square!.y) as [number, number, number];
    expect(second).toBeGreaterThanOrEqual(first + SHOWN);
    expect(third - second).toBe(second - first);
  });

  test("the same seed gives the same bytes, another seed other images", async () => {
    const data = await plainSet("plain");
    const [one, again, other] = [1, 1, 2].map((seed) => ({ data, images: 1, seed }));
    const bytes = async (options: LookOptions) => readFileSync((await sheet(options)).result.file);
    expect(await bytes(again!)).toEqual(await bytes(one!));
    expect(await bytes(other!)).not.toEqual(await bytes(one!));
  });

  test("mirrored where these epochs' views are", async () => {
    const [left, right]: [Colour, Colour] = [COLOURS.amber!, COLOURS.violet!];
    const image = await drawn(CROP, CROP, (x) => (x < CROP / 2 ? left : right)).png();
    await writeFiles(at("halves"), { "a/0.png": image, "b/0.png": await plain(...COLOURS.moss!, CROP) });
    const { picture } = await sheet({ data: at("halves"), images: 2, augment: "mirror", seed: 3 });
    const columns = picture.squares(COLOURS.moss!);
    const middle = columns[0]!.y - 60;
    const mirrored = columns.map(({ x }) => picture.colour(x + 20, middle)[1] === right[1]);
    const only = { crop: false, mirror: true, colour: 0, record: CROP, size: CROP };
    const expected = [0, 1, 2, 3, 4].map(
      (epoch) => drawViews(only, undefined, 3, epoch, Uint32Array.of(0, 1), 0)[VIEW.mirror] === 1,
    );
    expect(new Set(expected).size).toBe(2);
    expect(mirrored).toEqual([false, false, ...expected]);
  });

  test("erased boxes show the mean image", async () => {
    const { result, picture } = await sheet({ data: await plainSet("plain"), images: 3, augment: "erase=1" });
    expect(result.augmentation).toContain("erased in 100%");
    const mean = [0, 1, 2].map((c) => Object.values(COLOURS).reduce((sum, colour) => sum + colour[c]! / 3, 0));
    const row = picture.squares(COLOURS.amber!)[0]!;
    let erased = 0;
    // The versions are to the right of the first two columns.
    for (let x = row.x + 500; x < picture.width - 40; x++) {
      const colour = picture.colour(x, row.y + SHOWN / 2);
      if (colour.every((value, c) => Math.abs(value - mean[c]!) <= 1)) erased++;
    }
    expect(erased).toBeGreaterThan(20);
  });

  test("photos are whole beside their crops", async () => {
    const [sky, sea] = [[90, 170, 230] as const, [20, 60, 120] as const];
    const wide = await drawn(448, 224, (x) => (x < 112 || x >= 336 ? sea : sky)).png();
    await writeFiles(at("wide"), { "a/0.png": wide });
    const { picture } = await sheet({ data: at("wide"), model: "alexnet", augment: "none", images: 1 });
    const squares = picture.squares(sky);
    // 448 × 224 is halved to fit 224 × 168; the crops show only its middle, and so does the mean image.
    expect(squares[0]).toMatchObject({ height: 112 });
    // The colours mix where they meet.
    expect(squares[0]!.width).toBeWithin(108, 113);
    expect(squares.slice(1, 7).map(({ width, height }) => [width, height])).toEqual(Array(6).fill([168, 168]));
  });
});

describe("flawed sets", () => {
  test("photos are shown as they train: for the pretrained network, by its recipe", async () => {
    await writeFiles(join(at("photos"), "wide"), { "0.png": await plain(200, 30, 60, 100) });
    const { network, augmentation } = await look({ data: at("photos"), threads: 1, out: at("photos.png"), images: 1 });
    expect([network, augmentation]).toEqual(["efficientnet-lite0", "random crops, half of the images mirrored"]);
  });

  test("a class with one image, broken ones, files of another kind, names with markup and control characters", async () => {
    const image = await plain(...COLOURS.amber!, CROP);
    const odd = `<b>bold & "quoted"\u0007\u202e`;
    await writeFiles(at("odd"), {
      [`${odd}/<i> &amp; \u001b[31m.png`]: image,
      "broken/1.png": "\x89PNG\r\n\x1a\n and nothing more",
      "broken/2.png": image.subarray(0, image.length >> 1),
      "broken/notes.txt": "no image",
    });
    const { result, picture } = await sheet({ data: at("odd") });
    expect(result).toMatchObject({ images: 3, measured: 1, classes: 2 });
    expect(result.remarks).toEqual([{ kind: "other file", count: 1, example: `${at("odd")}/broken/notes.txt` }]);
    expect(result.bad.length).toBe(2);
    expect(result.bad[0]).toStartWith(`${at("odd")}/broken/1.png: `);
    expect(result.warnings[0]).toBe(
      `2 classes have fewer than 10 images; the smallest, "<b>bold & "quoted" \u202e", has 1`,
    );
    expect(picture.squares(COLOURS.amber!).filter(({ width }) => width === SHOWN).length).toBeGreaterThanOrEqual(
      COLUMNS,
    );
  });

  test("nothing is written when no image can be used", async () => {
    await writeFiles(at("none"), { "a/1.jpg": "no JPEG" });
    const out = at("none.png");
    const drawing = look({ data: at("none"), model: "small", threads: 1, out });
    await drawing.then(
      () => expect.unreachable(),
      (error: Error) => expect(error.message).toContain("none of its 1 image can be used"),
    );
    expect(existsSync(out)).toBe(false);
  });
});

test("stopped in the middle, it rejects with the signal's reason and writes nothing", async () => {
  const out = at("stopped.png");
  const controller = new AbortController();
  const reason = new Error("enough");
  const lines: string[] = [];
  const stop = (event: Notice) => {
    if (event.type === "progress") lines.push(`${event.what}: ${event.done} of ${event.total} ${event.unit}`);
    controller.abort(reason);
  };
  const error = await look({ threads: 1, out, onEvent: stop, signal: controller.signal }).catch(
    (error: unknown) => error,
  );
  expect(error).toBe(reason);
  expect(lines[0]).toBe("looking: 64 of 2000 images");
  expect(existsSync(out)).toBe(false);
});

describe("the command", () => {
  test("writes the picture and says so in one line", async () => {
    await plainSet("cli");
    const args = ["look", "cli", "--images", "2", "--threads", "1", "--out", "out/cli.png"];
    const { code, stdout, stderr } = await cli(args, { cwd: folder.path });
    expect(stderr).toBe(`warning: 3 classes have fewer than 10 images; the smallest, "violet", has 3\n`);
    const [, width, height] = /^out\/cli\.png: (\d+) × (\d+) pixels, [\d,]+ KiB\n$/.exec(stdout)!;
    const picture = await decode(at("out/cli.png"));
    expect([picture.width, picture.height]).toEqual([Number(width), Number(height)]);
    expect(code).toBe(0);
  });

  test("--json; the built-in set without data", async () => {
    const { code, stdout } = await cli(["look", "--json", "--images", "1", "--threads", "1"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([
      {
        file: at("look.png"),
        data: "shapes",
        network: "small",
        classes: 10,
        images: 8000,
        validation: 2000,
        measured: 2000,
      },
    ]);
    expect(existsSync(at("look.png"))).toBe(true);
  });

  const wrong: Readonly<Record<string, RegExp>> = {
    "--images 0": /--images 0/,
    "--images 65": /--images 65: must be a whole number from 1 to 64/,
    "--images many": /--images many: must be a number/,
    "--seed -1": /--seed -1/,
    "--model alexnetty": /alexnetty/,
    "--augment nonsense": /nonsense/,
    "--val plain": /--val/,
    "--colour": /--colour/,
  };
  for (const [options, message] of Object.entries(wrong)) {
    test(`${options}: exit code 2, and no picture`, async () => {
      const args = ["look", ...options.split(" "), "--out", "wrong.png"];
      const { code, stdout, stderr } = await cli(args, { cwd: folder.path });
      expect(stderr).toMatch(message);
      expect(stderr.split("\n").length).toBe(2);
      expect([code, stdout]).toEqual([2, ""]);
      expect(existsSync(at("wrong.png"))).toBe(false);
    });
  }

  test("missing data, and a file that can't be written: exit code 1", async () => {
    const missing = await cli(["look", "nowhere"], { cwd: folder.path });
    expect([missing.code, missing.stdout]).toEqual([1, ""]);
    expect(missing.stderr).toContain("nowhere");
    await plainSet("cli");
    await writeFiles(folder.path, { "file.txt": "a file, not a folder" });
    const args = ["look", "cli", "--images", "1", "--threads", "1", "--out", "file.txt/look.png"];
    const refused = await cli(args, { cwd: folder.path });
    expect([refused.code, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toContain("can't write");
    expect(readdirSync(folder.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
