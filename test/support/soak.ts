/** What is held while thousands of steps, or hundreds of trainings, follow each other. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { WgpuBackend } from "../../src/devices/wgpu/backend.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { train } from "../../src/verbs/train/train.ts";
import { drawn, firstBatches, trainer } from "./training.ts";

/** What a process and a backend hold at a moment. */
export interface Held {
  /** Steps, or trainings, done. */
  readonly done: number;
  readonly residentMegabytes: number;
  readonly buffers: number;
  readonly bytes: number;
  /** Objects of the GPU library of all kinds together; 0 where there is none. */
  readonly objects: number;
}

export function held(backend: Partial<WgpuBackend> | undefined, done: number): Held {
  Bun.gc(true);
  const { buffers, bytes } = backend?.statistics?.() ?? { buffers: 0, bytes: 0 };
  const objects = Object.values(backend?.counts?.() ?? {}).reduce((sum, count) => sum + count, 0);
  return { done, residentMegabytes: Math.round(process.memoryUsage().rss / 2 ** 20), buffers, bytes, objects };
}

/** Trains `small` for `steps` steps of `images` images, and records what is held after the steps in `moments`. */
export async function soakSteps(
  backend: Backend,
  steps: number,
  images: number,
  moments: readonly number[],
  seen: (held: Held) => void = () => {},
): Promise<Held[]> {
  const data = await drawn(small.record, 10 * images);
  const batches = await firstBatches(data.dataset, images, small.record, 10);
  const { step, free } = trainer(small, backend, data);
  const found: Held[] = [];
  for (let i = 1; i <= steps; i++) {
    const loss = await step(batches[i % batches.length]!, 1e-3);
    if (!Number.isFinite(loss)) throw new Error(`step ${i}: the loss is ${loss}`);
    if (!moments.includes(i)) continue;
    const now = held(backend, i);
    seen(now);
    found.push(now);
  }
  free();
  return found;
}

/** Runs `trainings` trainings one after the other, each with a backend of its own. */
export async function soakTrainings(
  device: string,
  trainings: number,
  moments: readonly number[],
  seen: (held: Held) => void = () => {},
): Promise<Held[]> {
  const folder = temporaryFolder("soak-");
  const found: Held[] = [];
  try {
    for (let i = 1; i <= trainings; i++) {
      const out = join(folder.path, String(i));
      const { val } = await train({ limit: 64, epochs: 1, device, out });
      if (!val || !Number.isFinite(val.loss)) throw new Error(`training ${i} has no loss`);
      rmSync(out, { recursive: true });
      if (!moments.includes(i)) continue;
      const now = held(undefined, i);
      seen(now);
      found.push(now);
    }
  } finally {
    folder.remove();
  }
  return found;
}
