/** Occlusion, with a network that looks at a single pixel; and the `draw` command. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { centreView } from "../../src/data/augmentation.ts";
import { openReference } from "../../src/engine/reference.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { occlude } from "../../src/inference/occlusion.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { fc } from "../../src/net/layers/index.ts";
import { Model } from "../../src/net/model.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { train } from "../../src/verbs/train/train.ts";
import { cli, tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);

describe("occlusion", () => {
  const SIDE = 10;
  const network: Network = {
    ...small,
    ...{ name: "one pixel", crop: SIDE, record: SIDE, classes: 2 },
    layers: (classes) => [fc("fc1", classes, { sigma: 0 })],
  };

  test("only squares that cover the one pixel that matters have an effect, and it is the whole one", async () => {
    const backend = openReference();
    const model = new Model(network, backend);
    model.initialise(0);
    const [row, column] = [2, 7];
    // Class 1 means red at the pixel, which is 100 above the mean.
    const weights = new Float32Array(2 * 3 * SIDE * SIDE);
    weights[3 * SIDE * SIDE + row * SIDE + column] = 0.02;
    backend.write(model.parameters[0]!.buffer, weights);
    const member = { model, mean: uploadMean(backend, SIDE, new Float32Array(3 * SIDE * SIDE).fill(50)) };
    const record = new Uint8Array(3 * SIDE * SIDE).fill(150);
    const [, before] = await probabilities(model, member.mean, record, [centreView(1, SIDE, SIDE)]);
    expect(before).toBeCloseTo(1 / (1 + Math.exp(-2)), 5);
    const seen: number[] = [];
    const { square, side, losses } = await occlude(member, record, 1, before!, (done) => seen.push(done));
    expect([square, side]).toEqual([2, SIDE]);
    expect(seen).toEqual([32, 64, 96, 100]);
    const expected = Array.from({ length: SIDE * SIDE }, (_, i) => {
      // A square of two pixels, centred on pixel k, covers k and a neighbour.
      const covers = (place: number, pixel: number) => {
        const from = Math.round(place + 0.5 - 1);
        return from <= pixel && pixel < from + 2;
      };
      return covers(Math.floor(i / SIDE), row) && covers(i % SIDE, column) ? before! - 0.5 : 0;
    });
    expect(expected.filter((loss) => loss > 0)).toHaveLength(4);
    losses.forEach((loss, i) => expect(loss).toBeCloseTo(expected[i]!, 5));
    await backend.close();
  });
});

describe("the command", () => {
  beforeAll(async () => {
    await makePhotos(at("photos"), 3, 20);
    await train({ ...tiny, data: at("photos"), epochs: 1, out: at("run") });
    writeFileSync(at("photo.png"), figurePng(1, 99));
    writeFileSync(at("broken.png"), "photo");
  });
  const draw = (...args: string[]) =>
    cli(["draw", ...args, ...(args.includes("curves") ? [] : ["--threads", "1", "--device", "cpu"])], {
      cwd: folder.path,
    });

  for (const [what, ...image] of [
    ["filters"],
    ["curves"],
    ["activations", "photo.png"],
    ["cam", "photo.png"],
    ["occlusion", "photo.png"],
  ]) {
    test(`${what}: a PNG of that name`, async () => {
      // A slow machine would print how far it is.
      const { code, stdout, stderr } = await draw(what!, ...image, "--model", "run", "--quiet");
      expect([code, stderr, stdout]).toEqual([0, "", `${what}.png\n`]);
      const { width, height } = await new Transformer(readFileSync(at(`${what}.png`))).metadata();
      expect(width).toBeGreaterThan(500);
      expect(height).toBeGreaterThan(300);
    });
  }

  test("of a given class, to a given file", async () => {
    const { code, stdout } = await draw(
      "occlusion",
      "photo.png",
      "--model",
      "run",
      "--class",
      "c2",
      "--out",
      "x.png",
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ what: "occlusion", file: at("x.png") });
  });

  const faults: [args: string[], code: number, message: RegExp][] = [
    [
      ["filter"],
      2,
      /"filter" can't be drawn; did you mean "filters"\?; there are filters, curves, activations, cam, occlusion/,
    ],
    [["occlusion"], 2, /draw occlusion needs an image: bun run draw occlusion photo\.jpg/],
    [["curves", "photo.png"], 2, /draw curves takes no image: leave out photo\.png/],
    [["filters", "--class", "c0"], 2, /--class is only for cam and occlusion/],
    [
      ["cam", "photo.png", "--class", "c9"],
      2,
      /--class c9: .*best\.safetensors has no such class; did you mean "c\d"\?/,
    ],
    [["activations", "broken.png"], 1, /broken\.png: /],
    [["activations", "photos"], 2, /photos has 60 images: name one of them/],
  ];
  for (const [args, code, message] of faults) {
    test(`fault: ${args.join(" ")}`, async () => {
      const ended = await draw(...args, "--model", "run");
      expect(ended.code).toBe(code);
      expect(ended.stderr).toMatch(message);
      expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
    });
  }
});
