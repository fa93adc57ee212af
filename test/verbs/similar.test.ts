/** Feature files, the index and its search compared with brute force, and the two commands. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Transformer } from "@napi-rs/image";
import { centreView } from "../../src/data/augmentation.ts";
import { createLoader } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import { augment, VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { AlexNetError } from "../../src/errors.ts";
import { fromNpy, npyHeader, toNpy } from "../../src/io/npy.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { Model } from "../../src/net/model.ts";
import { findTap } from "../../src/net/tap.ts";
import { features } from "../../src/verbs/features/features.ts";
import { nearest, principalDirections, sketchRows } from "../../src/verbs/similar/nearest.ts";
import { similar, type Similar, type SimilarEvent, type SimilarOptions } from "../../src/verbs/similar/similar.ts";
import { saveUntrained } from "../support/checkpoints.ts";
import { cli, jsonLines } from "../support/cli.ts";
import { expectClose, randomArray } from "../support/data.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";
import { tarOf } from "../support/tar.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
const kept = process.env.ALEXNET_CACHE;
process.env.ALEXNET_CACHE = join(folder.path, "cache");
afterAll(() => {
  if (kept === undefined) delete process.env.ALEXNET_CACHE;
  else process.env.ALEXNET_CACHE = kept;
  folder.remove();
});
const at = (...names: string[]) => join(folder.path, ...names);
const CPU = { device: "cpu", threads: 1, blas: false } as const;

async function untrained(name: string, seed: number): Promise<string> {
  await saveUntrained(at(name), small, ["c0", "c1", "c2"], seed);
  return at(name);
}

let [data, model] = ["", ""];

beforeAll(async () => {
  data = await makePhotos(at("photos"), 3, 15);
  model = await untrained("model.safetensors", 1);
});

describe("features", () => {
  test("a row per image, as the reference backend computes them; the table names the rows", async () => {
    const result = await features({ ...CPU, data, model, layer: "conv2", batch: 16, out: at("f", "rows.npy") });
    expect(result).toMatchObject({ images: 45, layer: "conv2", network: "small", bad: [], table: at("f", "rows.csv") });
    const rows = fromNpy(readFileSync(result.file), [45, result.size], "rows.npy");
    const { train } = await openDataset(data, { holdOut: 0 });
    const backend = openReference("f32");
    const [reference, tape] = [new Model(small, backend, 3), new Tape(backend, { record: false })];
    reference.initialise(1);
    // Images 0 to 4, 15 to 19 and 30 to 34, across the borders of batches of 16: the reference backend is slow.
    const [found, expected]: [number[], number[]] = [[], []];
    let first = 0;
    for await (const { pixels, valid } of createLoader(train, { batch: 5, recordSize: small.record })) {
      const number = first;
      first += valid;
      if (number % 15 !== 0) continue;
      found.push(...rows.subarray(number * result.size, first * result.size));
      const x = augment(
        tape.input([5, small.record, small.record, 3], pixels),
        tape.input([5, VIEW_LENGTH], centreView(5, small.record, small.crop)),
        tape.input([small.record, small.record, 3], new Float32Array(small.record ** 2 * 3).fill(100)),
        small.crop,
      );
      const values = await reference.outputs(x)[findTap(reference.layers, "conv2").count - 1]!.read();
      for (let n = 0; n < valid; n++) for (let i = n; i < values.length; i += 5) expected.push(values[i]!);
      tape.release();
    }
    expect(rows.length).toBe(45 * result.size);
    expect(found.length).toBe(15 * result.size);
    expectClose("rows", found, expected, 1e-5);
    const table = readFileSync(result.table, "utf8").split("\n");
    expect(table.length).toBe(47);
    expect(table[17]).toBe(`16,${data}/c1/001.png,c1`);
  });

  test("an image that can't be used has no row", async () => {
    const holes = await makePhotos(at("holes"), 3, 4);
    writeFileSync(join(holes, "c1", "002.png"), "no image");
    const result = await features({ ...CPU, data: holes, model, batch: 5, out: at("holes.npy") });
    expect(result).toMatchObject({ images: 11, bad: [expect.stringContaining("c1/002.png: ")] });
    // The header has space for all twelve images.
    const start = npyHeader([11, result.size], [12, result.size]).length;
    expect(statSync(result.file).size).toBe(start + 4 * 11 * result.size);
    expect(readFileSync(result.file).subarray(0, start).toString("latin1")).toContain(`(11, ${result.size}), }`);
    expect(readFileSync(result.table, "utf8")).not.toContain("c1/002.png");
  });

  test("a header with reserved space keeps its length for fewer rows; others are unchanged", () => {
    for (const rows of [1, 9, 10, 99, 123_456]) {
      expect(npyHeader([rows, 4096], [10 ** 6, 4096]).length).toBe(npyHeader([10 ** 6, 4096]).length);
    }
    const values = Float32Array.of(1, 2, 3);
    expect(fromNpy(toNpy(values, [3]), [3], "values")).toEqual(values);
  });
});

describe("the search", () => {
  const size = 48;
  const backend = openReference("f32");

  /** Sorted by distance, then by row. */
  function brute(vectors: Float32Array, query: Float32Array, count: number) {
    const all = Array.from({ length: vectors.length / size }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += (vectors[row * size + i]! - query[i]!) ** 2;
      return { row, distance: Math.sqrt(sum) };
    });
    return all.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, count);
  }

  async function search(vectors: Float32Array, sample: Float32Array, queries: readonly Float32Array[], count: number) {
    const basis = await principalDirections(backend, sample, size);
    const sketch = {
      directions: basis.length / size,
      size,
      basis,
      ...(await sketchRows(backend, vectors, basis, size)),
    };
    return queries.map((query) =>
      nearest(query, sketch, count, (row) => vectors.subarray(row * size, (row + 1) * size)),
    );
  }

  /** Vectors near a few directions and above 0, like activations. */
  function flat(rows: number, seed: number, noise: number): Float32Array<ArrayBuffer> {
    const [directions, places, rest] = [randomArray([4, size], 1), randomArray([rows, 4], seed), randomArray([rows, size], seed + 1)]; // prettier-ignore
    return Float32Array.from({ length: rows * size }, (_, at) => {
      const [row, i] = [Math.floor(at / size), at % size];
      let sum = noise * rest[at]!;
      for (let d = 0; d < 4; d++) sum += places[row * 4 + d]! * directions[d * size + i]!;
      return Math.max(0, 3 * sum);
    });
  }

  test.each([
    ["near a few directions", 0.02],
    ["with noise in all of them", 1],
  ])("equals brute force: %s", async (_, noise) => {
    const vectors = flat(3000, 5, noise);
    // Too few for the directions to span the rest.
    const sample = vectors.subarray(0, 8 * size);
    const queries = [0, 1, 2999].map((row) => vectors.slice(row * size, (row + 1) * size));
    queries.push(flat(1, 9, noise), new Float32Array(size), new Float32Array(size).fill(100));
    const results = await search(vectors, sample, queries, 10);
    results.forEach(({ found }, q) => expect(found).toEqual(brute(vectors, queries[q]!, 10)));
    expect(results[0]!.found[0]).toEqual({ row: 0, distance: 0 });
    // The point of the index: most vectors are not read.
    if (noise < 1) expect(results[3]!.compared).toBeLessThan(600);
  });

  test("vectors that are all equal, all zero, or fewer than requested", async () => {
    const same = new Float32Array(5 * size).fill(2);
    const zeros = new Float32Array(5 * size);
    const query = new Float32Array(size).fill(1);
    const rows = async (vectors: Float32Array, count: number) =>
      (await search(vectors, vectors, [query], count))[0]!.found.map(({ row }) => row);
    expect(await rows(same, 3)).toEqual([0, 1, 2]);
    expect(await rows(zeros, 3)).toEqual([0, 1, 2]);
    expect(await rows(same, 9)).toEqual([0, 1, 2, 3, 4]);
  });

  test("directions are orthonormal", async () => {
    const basis = await principalDirections(backend, randomArray([100, size], 3), size);
    const rows = basis.length / size;
    expect(rows).toBe(size);
    for (let a = 0; a < rows; a++) {
      for (let b = 0; b <= a; b++) {
        let dot = 0;
        for (let i = 0; i < size; i++) dot += basis[a * size + i]! * basis[b * size + i]!;
        expect(dot).toBeCloseTo(a === b ? 1 : 0, 5);
      }
    }
  });
});

describe("similar images", () => {
  async function ask(options: Partial<SimilarOptions> = {}) {
    const [found, indices]: [Similar[], SimilarEvent[]] = [[], []];
    const images = [join(data, "c1", "004.png")];
    const report = (event: SimilarEvent) => {
      if (event.type === "similar") found.push(event.similar);
      if (event.type === "index") indices.push(event);
    };
    const result = await similar({ ...CPU, data, model, images, batch: 16, ...options, onEvent: report });
    return { found, indices, result, first: found[0] as Extract<Similar, { neighbours: unknown }> };
  }

  test("the image itself comes first, followed by brute force's neighbours", async () => {
    const { first, indices, result } = await ask({ top: 7 });
    expect(indices).toMatchObject([{ images: 45, folder: result.index }]);
    expect(result).toMatchObject({ images: 45, network: "small", layer: expect.stringContaining("input of fc") });
    expect(first.neighbours[0]).toMatchObject({ image: `${data}/c1/004.png`, class: "c1" });
    const { file, size } = await features({ ...CPU, data, model, batch: 16, out: at("all.npy") });
    const rows = fromNpy(readFileSync(file), [45, size], "all.npy");
    const distances = Array.from({ length: 45 }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += (rows[row * size + i]! - rows[19 * size + i]!) ** 2;
      return {
        image: `${data}/c${Math.floor(row / 15)}/${String(row % 15).padStart(3, "0")}.png`,
        distance: Math.sqrt(sum),
      };
    }).sort((a, b) => a.distance - b.distance);
    expect(first.neighbours.map(({ image }) => image)).toEqual(distances.slice(0, 7).map(({ image }) => image));
    first.neighbours.forEach(({ distance }, k) => expect(distance).toBeCloseTo(distances[k]!.distance, 3));
  });

  test("the index is reused, and rebuilt when an image, the weights or its own files change", async () => {
    const made = async (options: Partial<SimilarOptions> = {}) => (await ask(options)).indices.length > 0;
    const { result } = await ask();
    expect(await made()).toBe(false);
    const photo = join(data, "c2", "000.png");
    const later = new Date(Date.now() + 5000);
    utimesSync(photo, later, later);
    expect(await made()).toBe(true);
    expect(await made()).toBe(false);
    await untrained("model.safetensors", 2);
    expect(await made()).toBe(true);
    truncateSync(join(result.index, "vectors.npy"), 1000);
    expect(await made()).toBe(true);
    writeFileSync(join(result.index, "index.safetensors"), "no index");
    expect(await made()).toBe(true);
    rmSync(join(result.index, "vectors.npy"));
    expect(await made()).toBe(true);
    appendFileSync(join(result.index, "vectors.npy"), "more");
    expect(await made()).toBe(true);
    // Another layer has an index of its own.
    expect(await made({ layer: "conv1" })).toBe(true);
    expect(await made()).toBe(false);
  });

  test("the index of a compressed archive, whose images are in memory, is rebuilt when one of them changes", async () => {
    const archive = (first: number) => {
      const files = [0, 1, 2].flatMap((label) =>
        [first, 5].map((variant, i) => [`c${label}/${i}.png`, figurePng(label, variant)] as const),
      );
      writeFileSync(at("photos.tar.gz"), gzipSync(tarOf(Object.fromEntries(files))));
    };
    const made = async () => (await ask({ data: at("photos.tar.gz") })).indices.length > 0;
    archive(0);
    expect(await made()).toBe(true);
    expect(await made()).toBe(false);
    archive(1);
    expect(await made()).toBe(true);
  });

  test("an index that can't be written: the error says what to set", async () => {
    const cache = process.env.ALEXNET_CACHE;
    writeFileSync(at("file"), "");
    process.env.ALEXNET_CACHE = at("file");
    try {
      const failure = await ask().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(AlexNetError);
      expect((failure as Error).message).toMatch(
        /^can't write .*features.*: part of the path is a file: set ALEXNET_CACHE to a writable folder$/,
      );
    } finally {
      process.env.ALEXNET_CACHE = cache;
    }
  });

  test("a picture of the images with their neighbours", async () => {
    const { result } = await ask({
      out: at("deep", "similar.png"),
      images: [join(data, "c0"), join(data, "c2", "001.png")],
    });
    expect(result.picture).toBe(at("deep", "similar.png"));
    const { width, height } = await new Transformer(readFileSync(result.picture!)).metadata();
    expect(width).toBeGreaterThan(1000);
    expect(height).toBeGreaterThan(16 * 160);
  });
});

describe("the commands", () => {
  const run = (...args: string[]) =>
    cli([...args, "--device", "cpu", "--threads", "1", "--blas", "off"], { cwd: folder.path });

  test("similar: the nearest of each; unusable images are reported, and the exit code is 1", async () => {
    writeFileSync(at("broken.jpg"), "no image");
    const image = join("photos", "c0", "003.png");
    const args = ["similar", image, "broken.jpg", "--in", "photos", "--model", "model.safetensors", "--top", "2"];
    const people = await run(...args);
    expect(people.code).toBe(1);
    expect(people.stderr).toMatch(
      /^building an index of 45 images, 1 MB, in .*\n(?:index: .*\n)*error: broken\.jpg: .*\n$/,
    );
    expect(people.stdout).toMatch(
      /^photos.c0.003\.png\n +\S+  c0  photos.c0.003\.png\n +\S+  c\d  photos.*\.png\nby input of fc/,
    );
    const programs = await run(...args, "--json");
    expect(programs.stderr).toBe("");
    const [first, second] = jsonLines(programs.stdout);
    expect(first!.neighbours.length).toBe(2);
    expect(first!.neighbours[0].class).toBe("c0");
    expect(second).toMatchObject({ image: "broken.jpg", error: expect.any(String) });
  });

  test("features: the file and its contents", async () => {
    const { code, stdout, stderr } = await run("features", "photos", "--model", "model.safetensors");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(
      /^features\.npy: 45 × [\d,]+ numbers, input of fc\d of small; features\.csv names the rows\n/,
    );
    const { stdout: json } = await run(
      "features",
      "photos",
      "--model",
      "model.safetensors",
      "--json",
      "--layer",
      "conv1",
      "--out",
      "one.npy",
    );
    expect(jsonLines(json)[0]).toMatchObject({ file: "one.npy", table: "one.csv", layer: "conv1", images: 45 });
  });

  const wrong: Readonly<Record<string, RegExp>> = {
    "features photos --out x.csv": /--out x\.csv: must end in \.npy/,
    "features photos --part test": /--part test: must be train or val/,
    "features photos --layer fc7": /no layer is called "fc7".*there are conv1/,
    "features photos --batch 0": /--batch 0: must be a whole number above 0/,
    "similar photos/c0 --in photos --top 0": /--top 0: must be a whole number above 0/,
    "similar photos/c0 --in photos --layer conv9": /no layer is called "conv9"/,
    similar: /IMAGE/,
    features: /does not say what it was trained on/,
  };
  for (const [options, message] of Object.entries(wrong)) {
    test(`${options}: exit code 2`, async () => {
      const { code, stdout, stderr } = await run(...options.split(" "), "--model", "model.safetensors");
      expect(stderr).toMatch(message);
      expect(stderr.split("\n").length).toBe(2);
      expect([code, stdout]).toEqual([2, ""]);
      expect(existsSync(at("x.csv"))).toBe(false);
    });
  }
});
