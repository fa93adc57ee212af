/** Likely wrong labels: photos put into the wrong class are found, and shown in the report. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { Purpose, Random } from "../../src/random.ts";
import { train } from "../../src/verbs/train/train.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { drawn, makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);

const COLOURS = [
  [200, 80, 60],
  [70, 90, 210],
  [60, 180, 70],
] as const;

/** A picture of spots of about one colour. */
function spots(colour: readonly number[], number: number): Promise<Uint8Array> {
  const random = new Random(number, Purpose.drawing, 3);
  return drawn(32, 32, () =>
    colour.map((value) => Math.min(255, Math.max(0, value + 100 * (random.uniform() - 0.5)))),
  ).png();
}

interface Issues {
  readonly images: number;
  readonly issues: readonly {
    image: string;
    label: string;
    labelProbability: number;
    predicted: string;
    probability: number;
  }[];
}

test("one photo of each class, moved to the other, is among the first; a class of one image is not judged", async () => {
  const { model: _, ...options } = tiny;
  await makePhotos(at("source"), 4, 10);
  await train({ ...tiny, data: at("source"), epochs: 1, out: at("from") });
  const data = at("photos");
  for (const [label, colour] of COLOURS.entries()) {
    const count = label === 2 ? 1 : 20;
    const files = Array.from(
      { length: count },
      (_, i) => [`${String(i).padStart(3, "0")}.png`, spots(colour, i)] as const,
    );
    for (const [name, picture] of files) await writeFiles(join(data, `c${label}`), { [name]: await picture });
  }
  renameSync(join(data, "c0", "004.png"), join(data, "c1", "moved.png"));
  renameSync(join(data, "c1", "011.png"), join(data, "c0", "moved.png"));
  await train({ ...options, data, from: at("from"), epochs: 0, out: at("run"), balance: 0 });
  const { images, issues }: Issues = JSON.parse(readFileSync(at("run", "label-issues.json"), "utf8"));
  expect(images).toBe(40);
  expect(issues.length).toBeWithin(2, 11);
  const first = issues.slice(0, 2).map(({ image, label, predicted }) => `${image} ${label} ${predicted}`);
  expect(first).toContain("c0/moved.png c0 c1");
  expect(first).toContain("c1/moved.png c1 c0");
  for (const { labelProbability, probability } of issues) expect(probability).toBeGreaterThan(labelProbability);
  const shares = issues.map(({ labelProbability }) => labelProbability);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));

  const { width } = await new Transformer(readFileSync(at("run", "label-issues.png"))).metadata();
  expect(width).toBeGreaterThan(500);
  expect(readFileSync(at("run", "report.html"), "utf8")).toContain("<h2>Likely wrong labels</h2>");
  // From scratch there is no model yet to judge.
  expect(existsSync(at("from", "label-issues.json"))).toBe(false);
});
