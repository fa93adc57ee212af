/** Optimizers that are chosen for a training: they learn, and a run that was stopped ends in the same bytes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { tensorsOf } from "../support/tensors.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const options = { data: at("photos"), model: "relu-or-tanh", batch: 16, device: "cpu", threads: 1 } as const;
beforeAll(async () => void (await makePhotos(at("photos"), 2, 20)));

test.each<[string, Pick<TrainOptions, "optimizer" | "average">]>([
  ["nesterov", { optimizer: "nesterov" }],
  ["adamw", { optimizer: "adamw" }],
  ["muon", { optimizer: "muon" }],
  ["averages", { optimizer: "nesterov", average: "ema=0.9" }],
])("%s, stopped and resumed", async (name, chosen) => {
  const whole = at(`${name}-whole`);
  await train({ ...options, ...chosen, schedule: "constant", epochs: 2, out: whole });
  const halved = at(`${name}-halved`);
  await train({ ...options, ...chosen, schedule: "constant", epochs: 1, out: halved });
  const { val } = await train({ resume: halved, epochs: 2 });
  expect(val!.loss).toBeLessThan(Math.log(2));
  expect(tensorsOf(join(halved, "last.safetensors"))).toBe(tensorsOf(join(whole, "last.safetensors")));
});

test("what is validated, and kept as the best, are the averages", async () => {
  const run = at("averages-once");
  await train({ ...options, average: "ema", epochs: 1, out: run });
  using best = openCheckpoint(join(run, "best.safetensors"));
  using last = openCheckpoint(join(run, "last.safetensors"));
  const shape = [2, 1024];
  expect(best.numbers("fc4.weight", shape)).toEqual(last.numbers("optimizer.average.fc4.weight", shape));
  expect(best.numbers("fc4.weight", shape)).not.toEqual(last.numbers("fc4.weight", shape));
});
