/** Optimizers that are chosen for a training: they learn, and a run that was stopped ends in the same bytes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { train } from "../../src/verbs/train/train.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { tensorsOf } from "../support/tensors.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const options = { data: at("photos"), model: "relu-or-tanh", batch: 16, device: "cpu", threads: 1 } as const;
beforeAll(async () => void (await makePhotos(at("photos"), 2, 20)));

test.each(["nesterov", "adamw", "muon"])("%s, stopped and resumed", async (optimizer) => {
  const whole = at(`${optimizer}-whole`);
  await train({ ...options, optimizer, schedule: "constant", epochs: 2, out: whole });
  const halved = at(`${optimizer}-halved`);
  await train({ ...options, optimizer, schedule: "constant", epochs: 1, out: halved });
  const { val } = await train({ resume: halved, epochs: 2 });
  expect(val!.loss).toBeLessThan(Math.log(2));
  expect(tensorsOf(join(halved, "last.safetensors"))).toBe(tensorsOf(join(whole, "last.safetensors")));
});
