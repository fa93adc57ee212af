/** The time of a kernel that computes next to nothing: what every kernel takes at least. */
import type { Backend } from "../../src/engine/backend.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";

/** Each waits for the one before, since it changes the same numbers. */
const KERNELS = 64;
const ROUNDS = 5;

/** The least time of such a kernel, in ms. @throws DeviceError */
export async function launchMs(backend: Backend): Promise<number> {
  const [x, y] = [backend.allocate("f32", 64), backend.allocate("f32", 64)];
  try {
    for (const buffer of [x, y]) backend.write(buffer, new Float32Array(64).fill(1));
    let best = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      const times = await backend.profile(() => {
        for (let i = 0; i < KERNELS; i++) backend.run(accumulateKernel, { x, y }, { size: 64 });
      });
      // A clock that ticks slowly says 0 for some.
      const mean = times.reduce((sum, { ms }) => sum + ms, 0) / times.length;
      best = Math.min(best, mean);
    }
    return best;
  } finally {
    for (const buffer of [x, y]) backend.free(buffer);
  }
}
