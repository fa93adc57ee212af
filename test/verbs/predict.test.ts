/** Predictions for odd images and odd names, and their picture. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { small } from "../../src/net/cifar_networks.ts";
import { drawAnswers } from "../../src/pictures/answers.ts";
import { predict, type PredictEvent, type Prediction } from "../../src/verbs/predict/predict.ts";
import { classOfFolder } from "../../src/verbs/shared/images.ts";
import { saveUntrained } from "../support/checkpoints.ts";
import { cli } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { drawn, figurePng, plain } from "../support/images.ts";
import { goldenFile } from "../support/weight_files.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const CPU = { device: "cpu", threads: 1 } as const;
/** Control codes, a right-to-left mark, markup. */
const ODD = `\u001b[31m<b>&"red"\u202e\u0007\u009b1m`;
const SHOWN = '[31m<b>&"red" 1m';

beforeAll(() => saveUntrained(at("model.safetensors"), small, ["bees", ODD, "ants"], 1));

async function ask(images: readonly string[], out?: string) {
  const found: Prediction[] = [];
  const options = { ...CPU, model: at("model.safetensors"), images, ...(out === undefined ? {} : { out }) };
  const report = (event: PredictEvent) => event.type === "prediction" && found.push(event.prediction);
  return { found, result: await predict({ ...options, onEvent: report }) };
}

describe("images", () => {
  test("of any size and shape", async () => {
    const grey = (width: number, height: number) => drawn(width, height, (x, y) => [x % 256, y % 256, 9]).png();
    const sizes = [[1, 1], [2, 3000], [3000, 2], [31, 33], [1500, 1000]] as const; // prettier-ignore
    for (const [w, h] of sizes) await writeFiles(at("sizes"), { [`${w}x${h}.png`]: await grey(w, h) });
    const { found } = await ask([at("sizes")]);
    expect(found.length).toBe(5);
    expect(found.filter((each) => "error" in each)).toEqual([]);
  });

  test("a folder with broken files: each is classified or refused; hidden and other files are ignored", async () => {
    const png = figurePng(0, 0);
    await writeFiles(at("mixed"), {
      ...{ "a.png": png, "b.png": png.subarray(0, 60), "c.jpg": "", "d/e.PNG": png, "notes.txt": "notes" },
      ...{ "._a.png": "what macOS leaves", ".cache/f.png": png, "g.webp": "RIFF....WEBPVP8 " },
    });
    // A folder may have any name.
    await writeFiles(at("mixed", "h.png"), { i: png, "j.gif": "GIF89a", "k.JFIF": png });
    const { found, result } = await ask([at("mixed")]);
    const said = found.map((each) => [each.image.slice(at("mixed").length + 1), "error" in each]);
    expect(said).toEqual([
      ["a.png", false],
      ["b.png", true],
      ["c.jpg", true],
      [join("d", "e.PNG"), false],
      ["g.webp", true],
      [join("h.png", "i"), false],
      [join("h.png", "k.JFIF"), false],
    ]);
    expect(result.remarks).toEqual([
      { kind: "other file", count: 1, example: `${at("mixed")}/notes.txt` },
      { kind: "other format", count: 1, example: `${at("mixed")}/h.png/j.gif` },
      { kind: "hidden", count: 2, example: `${at("mixed")}/._a.png` },
    ]);
  });

  describe.skipIf(process.platform === "win32")("links and pipes", () => {
    test("in a folder: links are followed, cycles and pipes ignored", async () => {
      await writeFiles(at("linked", "a"), { "1.png": figurePng(0, 0) });
      symlinkSync("..", at("linked", "a", "up"));
      symlinkSync("a", at("linked", "b"));
      expect(Bun.spawnSync(["mkfifo", at("linked", "a", "2.png")]).exitCode).toBe(0);
      const { found, result } = await ask([at("linked")]);
      expect(found.map(({ image }) => image)).toEqual([at("linked", "a", "1.png"), at("linked", "b", "1.png")]);
      expect(result.remarks.map(({ kind, count }) => [kind, count])).toEqual([
        ["pipe", 2],
        ["circular link", 2],
      ]);
    });

    test("a folder without images says what is in it", async () => {
      mkdirSync(at("piped"));
      expect(Bun.spawnSync(["mkfifo", at("piped", "1.png")]).exitCode).toBe(0);
      const { found, result } = await ask([at("piped")]);
      expect(found).toEqual([{ image: at("piped"), error: "the folder has no JPEG, PNG or WebP image" }]);
      expect(result.remarks).toEqual([{ kind: "pipe", count: 1, example: at("piped", "1.png") }]);
    });

    test("a named pipe is read to its end", async () => {
      writeFileSync(at("whole.png"), figurePng(1, 0));
      const [pipe, whole] = [at("pipe"), at("whole.png")];
      expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
      const halves = 'head -c 50 "$0" > "$1.a"; tail -c +51 "$0" > "$1.b"; cat "$1.a" "$1.b" > "$1"';
      const writer = Bun.spawn(["sh", "-c", halves, whole, pipe]);
      const { found } = await ask([pipe, whole]);
      expect(await writer.exited).toBe(0);
      const [piped, named] = found.map((each) => ("classes" in each ? each.classes : each.error));
      expect(piped).toEqual(named!);
    });
  });
});

describe("the right class", () => {
  test("is given by the folder's name, or its synset ID", () => {
    const known = ["ants", "tench, Tinca tinca", "crane (n02012849)", "crane (n03126707)"];
    expect(classOfFolder("x/ants/1.jpg", known)).toBe("ants");
    expect(classOfFolder("ants/bees/1.jpg", known)).toBeUndefined();
    expect(classOfFolder("x/n01440764/1.jpg", known)).toBe("tench, Tinca tinca");
    expect(classOfFolder("x/n03126707/1.jpg", known)).toBe("crane (n03126707)");
  });

  test("is marked in the picture, and no name becomes markup", async () => {
    const bars = [
      { name: ODD, probability: 0.75, isRight: false },
      { name: "ants", probability: 0.25, isRight: true },
    ];
    const svg = await drawAnswers({ title: ODD, facts: [], cells: [{ image: undefined, name: ODD, right: "ants", bars }] }); // prettier-ignore
    const fills = [...svg.matchAll(/<rect [^>]*height="17" fill="(#\w+)"/g)].map(([, fill]) => fill);
    expect(fills.length).toBe(2);
    expect(fills[0]).not.toBe(fills[1]!);
    expect(svg).not.toContain("<b>");
    expect(svg).not.toMatch(/[\u001b\u202e\u0007\u009b]/);
  });
});

test("the picture has a cell for each usable image", async () => {
  await writeFiles(at("named"), {
    "ants/1.png": await plain(90),
    "ants/2.png": "no image",
    "bees/1.png": await plain(9),
  });
  const { found, result } = await ask([at("named")], at("deep", "named.png"));
  expect(found.length).toBe(3);
  expect(result.picture).toEqual({ file: at("deep", "named.png"), images: 2 });
  const { width, height } = await new Transformer(readFileSync(result.picture!.file)).metadata();
  expect([width > 600, height > 250]).toEqual([true, true]);
});

describe("the command", () => {
  const run = (args: readonly string[], stdin?: Uint8Array) =>
    cli(["predict", ...args, "--model", "model.safetensors", "--device", "cpu", "--threads", "1"], {
      cwd: folder.path,
      ...(stdin && { stdin }),
    });

  test("names are shown as text; the picture's path is printed", async () => {
    writeFileSync(at("photo.png"), figurePng(0, 0));
    const { code, stdout, stderr } = await run(["photo.png", "--out", "photo-out.png"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`  ${SHOWN} `);
    expect(stdout).not.toMatch(/[\u001b\u202e\u0007\u009b]/);
    expect(stdout).toEndWith("\nphoto-out.png: 1 image\n");
  });

  test("nothing usable on standard input: exit code 1, and no picture", async () => {
    const { code, stdout, stderr } = await run(["-", "--out", "none.png"], new TextEncoder().encode("no image"));
    expect(code).toBe(1);
    expect(stderr).toBe("error: -: it is not a JPEG, PNG or WebP image\n");
    expect(stdout).toBe("");
  });

  test("a picture that can't be written: exit code 1", async () => {
    writeFileSync(at("photo.png"), figurePng(0, 0));
    const { code, stderr } = await run(["photo.png", "--out", join("photo.png", "x.png")]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: can't write .*x\.png: a file of that name exists\n$/);
  });

  test("a device that is refused while weights are still being imported: one line, and exit code 2", async () => {
    writeFileSync(at("photo.png"), figurePng(0, 0));
    writeFileSync(at("weights.pth"), goldenFile("zip.pth"));
    const words = ["predict", "photo.png", "--model", "weights.pth", "--device", "cpu", "--tune", "on"];
    const ended = await cli(words, { cwd: folder.path, env: { ALEXNET_CACHE: at("cache") } });
    expect([ended.code, ended.stdout]).toEqual([2, ""]);
    expect(ended.stderr).toMatch(/^error: --tune is for GPUs, [^\n]*\n$/);
  });
});
