/** Near-duplicates across training and validation are said and counted: by `train`, in its report, and by `look`. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { Run } from "../../src/runs/runs.ts";
import { readDuplicates } from "../../src/runs/findings.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { look } from "../../src/verbs/look/look.ts";
import { report } from "../../src/verbs/report/report.ts";
import { train } from "../../src/verbs/train/train.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);

async function warningsOf(data: string, out: string): Promise<string[]> {
  const lines: string[] = [];
  const report = (event: TrainEvent) => void (event.type === "warning" && lines.push(event.line));
  await train({ ...tiny, data, epochs: 1, out, onEvent: report });
  return lines;
}

test("two of ten validation images are copies of training images", async () => {
  await makePhotos(at("data", "train"), 2, 10);
  await makePhotos(at("more"), 2, 15);
  for (const name of ["c0", "c1"]) {
    for (let i = 10; i < 15; i++) {
      const file = `${String(i).padStart(3, "0")}.png`;
      const from = i === 12 ? at("data", "train", name, "004.png") : at("more", name, file);
      await cp(from, at("data", "val", name, file));
    }
  }
  const line =
    "2 of the 10 validation images are near-duplicates of training images, first val/c0/012.png and " +
    "train/c0/004.png: they make the score look better than it is";
  expect(await warningsOf(at("data"), at("run"))).toEqual([line]);
  const pairs = ["c0", "c1"].map((name) => [`val/${name}/012.png`, `train/${name}/004.png`] as const);
  expect(readDuplicates(new Run(at("run")))).toEqual({ images: 10, pairs });
  const page = readFileSync(at("run", "report.html"), "utf8").replace(/>\s+</g, "><");
  expect(page).toContain("2 of 10 validation images are like a training image");
  expect(page).toContain(`<th scope="row">val/c1/012.png</th><td>train/c1/004.png</td>`);

  const looked = await look({ data: at("data"), model: "small", threads: 1, out: at("look.png") });
  expect(looked.duplicates).toBe(2);
  expect(looked.warnings).toContain(line);

  // A damaged list is left out.
  writeFileSync(at("run", "duplicates.json"), `{"images":10,"pairs":[["a"]]}`);
  await report({ run: at("run") });
  expect(readFileSync(at("run", "report.html"), "utf8")).not.toContain("like a training image");
});

test("of a set that isn't divided yet, images like others are counted", async () => {
  await makePhotos(at("whole"), 2, 10);
  await cp(at("whole", "c1", "003.png"), at("whole", "c1", "copy.png"));
  const looked = await look({ data: at("whole"), model: "small", threads: 1, out: at("look.png") });
  expect(looked.duplicates).toBe(1);
  expect(looked.warnings[0]).toStartWith(
    "1 of the 21 images is a near-duplicate of others, first c1/copy.png and c1/003.png: ",
  );
});

test("nothing is said or written where there are none", async () => {
  expect(await warningsOf(at("more"), at("none"))).toEqual([]);
  expect(existsSync(at("none", "duplicates.json"))).toBe(false);
});
