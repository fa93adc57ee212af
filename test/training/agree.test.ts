/**
 * A GPU and the cpu train alike: the losses of the first steps of cifar10-18pct with its own recipe. On a software GPU
 * a step takes seconds, so that only a few are done; for 50:
 *
 *   AGREE_STEPS=50 bun test test/training/agree.test.ts
 *
 * With TEST_DATA set, on CIFAR-10's test images; otherwise on drawn figures.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { cifar18 } from "../../src/net/cifar_networks.ts";
import { backends, describeBackends } from "../support/backends.ts";
import { largestError, type Values } from "../support/data.ts";
import { drawn, firstBatches, measured, trainer, type Data } from "../support/training.ts";

setDefaultTimeout(600_000);

const STEPS = Number(process.env.AGREE_STEPS ?? 4);
const BATCH = 16;
/** Of the loss, relative. */
const LOSS_TOLERANCE = 1e-3;
/**
 * Of the largest velocity of a parameter after the first step. From then on rounding decides some signs and maxima, and a
 * gradient goes another way: after two steps the cpu's own velocities, with and without a BLAS, are 1% apart, after eight
 * 5%. The losses part by less than 0.1% in 50 steps all the same.
 */
const VELOCITY_TOLERANCE = 1e-5;

const cifar = join(process.env.TEST_DATA ?? "", "cifar10-test.tar");
const cpu = backends.find(({ name }) => name === "cpu")!;

async function data(): Promise<Data> {
  if (!process.env.TEST_DATA || !existsSync(cifar)) return drawn(32, 400);
  return measured((await openDataset(cifar, { holdOut: 0 })).train, 32);
}

/** The losses of the steps, and the velocities after the first. */
async function trained(backend: Backend, source: Data) {
  const { step, sgd, model, free } = trainer(cifar18, backend, source);
  const losses: number[] = [];
  const velocities = new Map<string, Values>();
  for (const batch of await firstBatches(source.dataset, BATCH, 32, STEPS)) {
    if (losses.push(await step(batch)) !== 1) continue;
    for (const [i, velocity] of sgd.velocities.entries()) {
      velocities.set(model.parameters[i]!.name, await velocity.read());
    }
  }
  free();
  return { losses, velocities };
}

let source: Data;
let expected: Awaited<ReturnType<typeof trained>>;
beforeAll(async () => {
  source = await data();
  expected = await trained(await cpu.open(), source);
});
afterAll(() => source.dataset.close());

describeBackends(
  `${STEPS} steps of cifar10-18pct`,
  ({ open }) => {
    test("have the losses of the cpu without BLAS, and at first its velocities", async () => {
      const actual = await trained(await open(), source);
      expect(expected.losses.length).toBe(STEPS);
      expect(expected.velocities.size).toBe(8);
      // Before any training: ten classes, equally probable.
      expect(expected.losses[0]).toBeCloseTo(Math.log(10), 3);
      const worst = Math.max(...expected.losses.map((loss, i) => Math.abs(actual.losses[i]! - loss) / loss));
      expect(worst, `${actual.losses.join(" ")} and ${expected.losses.join(" ")}`).toBeLessThan(LOSS_TOLERANCE);
      for (const [name, velocity] of expected.velocities) {
        const { error, scale } = largestError(actual.velocities.get(name)!, velocity);
        expect(scale, name).toBeGreaterThan(0);
        expect(error, name).toBeLessThan(VELOCITY_TOLERANCE);
      }
    });
  },
  ["wgpu", "cpu-blas"],
);
