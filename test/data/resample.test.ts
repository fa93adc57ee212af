/** Records and statistics against Pillow's and NumPy's: records to the last bit (test/golden/pillow.py). */
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Encoded, Pixels, Statistics } from "../../src/data/dataset.ts";
import { openDecoder } from "../../src/data/decode.ts";
import { openDataset } from "../../src/data/open.ts";
import { measureStatistics } from "../../src/data/statistics.ts";
import type { ResizeFilter } from "../../src/net/recipe.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { expectClose } from "../support/data.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { golden, goldenPicture } from "../support/golden_pictures.ts";
import { drawn, withOrientation } from "../support/images.ts";

const { path: root, remove } = temporaryFolder();
afterAll(remove);

const decoder = await openDecoder();

function digest(image: Encoded | Pixels, side: number, shorter: number, resize: ResizeFilter = "bilinear"): string {
  const record = new Uint8Array(side * side * 3);
  expect(decoder.record(image, side, record, { shorter, resize })).toBeUndefined();
  return createHash("sha256").update(record).digest("hex");
}

test.each(golden.resized)(
  "$width × $height, $resize: the shorter side to $shorter, $side × $side of it",
  ({ width, height, shorter, side, resize, sha256 }) => {
    const pixels = goldenPicture(width, height);
    expect(digest({ kind: "pixels", pixels, width, height }, side, shorter, resize as ResizeFilter)).toBe(sha256);
  },
);

describe("JPEG", () => {
  const files = Object.entries(golden.files);

  test.each(files)("%s", (_, { base64, records }) => {
    const bytes = Buffer.from(base64, "base64");
    for (const { shorter, side, sha256 } of records) {
      expect(digest({ kind: "encoded", bytes }, side, shorter)).toBe(sha256);
    }
  });

  test("EXIF orientations 1 to 8, turned before they are resized", () => {
    const first = Buffer.from(files[0]![1].base64, "base64");
    const found = golden.orientations.map((records, k) =>
      records.map(({ shorter, side }) =>
        digest({ kind: "encoded", bytes: withOrientation(first, k + 1) }, side, shorter),
      ),
    );
    expect(found).toEqual(golden.orientations.map((records) => records.map(({ sha256 }) => sha256)));
  });
});

describe("statistics", () => {
  const { images, side, mean, channelMean, covariance, values, vectors } = golden.statistics;

  function expectGolden(found: Statistics): void {
    expect(found.images).toBe(images);
    // The mean is kept in float32.
    expectClose("mean", found.mean, mean, 1e-6);
    expectClose("channel mean", found.channelMean, channelMean, 1e-9);
    expectClose("covariance", found.covariance, covariance, 1e-9);
    for (const [k, value] of values.entries()) {
      expect(Math.abs(found.axes.values[k]! / value - 1)).toBeLessThan(1e-9);
      const own = found.axes.vectors[k]!;
      const cosine = vectors[k]!.reduce((sum, v, c) => sum + v * own[c]!, 0);
      expect(Math.abs(Math.abs(cosine) - 1)).toBeLessThan(1e-9);
    }
  }

  test("measured, and of a pack, raw or of JPEGs", async () => {
    const photos = join(root, "photos");
    for (let k = 0; k < images; k++) {
      const pixels = goldenPicture(side, side, k);
      const png = await drawn(side, side, (x, y) => [0, 1, 2].map((c) => pixels[3 * (y * side + x) + c]!)).png();
      await writeFiles(photos, { [`c${k % 2}/${k}.png`]: png });
    }
    const { train } = await openDataset(photos, { holdOut: 0 });
    expectGolden(await measureStatistics(train, { recordSize: side }));
    await train.close();
    for (const encoding of ["raw", "jpeg"] as const) {
      const out = join(root, encoding);
      await pack({ data: photos, out, side, encoding, threads: 2, shard: 3 });
      const { train: packed } = await openDataset(out, { holdOut: 0 });
      expectGolden(packed.statistics!);
      await packed.close();
    }
  });
});
