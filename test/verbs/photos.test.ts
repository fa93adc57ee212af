/** Real photos of all sizes, some of them odd: decoding, training, evaluation. Skipped without TEST_DATA. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TrainEvent } from "../../src/training/events.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { predict, type Prediction } from "../../src/verbs/predict/predict.ts";
import { train } from "../../src/verbs/train/train.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";

setDefaultTimeout(300_000);

const photos = join(process.env.TEST_DATA ?? "", "ants-bees");
const missing = !process.env.TEST_DATA || !existsSync(photos);
const folder = temporaryFolder();
afterAll(folder.remove);
const run = join(folder.path, "run");
const device = { device: "cpu", threads: 1 } as const;

describe.skipIf(missing)(
  `ants and bees${missing ? " (skipped: TEST_DATA is not set, or has no ants-bees)" : ""}`,
  () => {
    test("an epoch of a small network", async () => {
      const events: TrainEvent[] = [];
      const { interrupted, val } = await train({
        ...tiny,
        data: photos,
        epochs: 1,
        augment: "mirror,colour",
        out: run,
        onEvent: (event) => events.push(event),
      });
      expect(interrupted).toBe(false);
      // One of the files is a GIF, the placeholder of a lost photo.
      expect(events[0]).toMatchObject({ type: "remark", kind: "other format", count: 1 });
      expect(events[1]).toMatchObject({ type: "start", train: 244, val: 153, classes: 2 });
      expect(events.filter(({ type }) => type === "bad")).toEqual([]);
      expect(val!.loss).toBeFinite();
      expect(val!.top1).toBeLessThan(1);
    });

    test("evaluated, with ten views; and predicted, a folder of them", async () => {
      const { total, classes } = await evaluate({ ...device, model: run, data: photos, views: 10 });
      expect(total.images).toBe(153);
      expect(classes.map(({ name }) => name)).toEqual(["ants", "bees"]);
      const found: Prediction[] = [];
      await predict({
        ...device,
        model: run,
        images: [join(photos, "val", "bees")],
        onEvent: (event) => event.type === "prediction" && found.push(event.prediction),
      });
      expect(found.length).toBe(classes[1]!.scores.images);
      expect(found.every((prediction) => "classes" in prediction)).toBe(true);
    });
  },
);
