/** Starts the compute workers. */
import { DeviceError } from "../../errors.ts";
import type { BlasLibrary } from "../../native/libraries.ts";
import { PACK_BYTES } from "./gemm.ts";
import type { Heap } from "./heap.ts";
import { createRing, Ring } from "./ring.ts";
import type { WorkerReply, WorkerSetup } from "./worker.ts";

/** What workers compute with. */
interface Equipment {
  readonly module: WebAssembly.Module;
  readonly heap: Heap;
  readonly blas: BlasLibrary | undefined;
}

/**
 * @param equip called once the threads exist, which load their modules meanwhile
 * @throws DeviceError when a worker can't start, with its reason; what `equip` throws
 */
export async function startWorkers(
  threads: number,
  equip: () => Promise<Equipment>,
): Promise<Equipment & { readonly workers: readonly Worker[]; readonly ring: Ring }> {
  const ring = createRing();
  const workers: Worker[] = [];
  let equipment: Equipment;
  try {
    for (let left = threads; left > 0; left--) workers.push(new Worker(new URL("./worker.ts", import.meta.url).href));
    equipment = await equip();
    const { module, heap, blas } = equipment;
    const ready = workers.map((worker, index) => {
      const packing = heap.allocate(PACK_BYTES);
      return start(worker, { index, threads, module, memory: heap.memory, ring, packing, blas });
    });
    await Promise.all(ready);
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw error;
  }
  // Don't keep the process alive, closed or not.
  for (const worker of workers) worker.unref();
  return { ...equipment, workers, ring: new Ring(ring) };
}

async function start(worker: Worker, setup: WorkerSetup): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (reason: string) => reject(new DeviceError(`cpu: worker ${setup.index} did not start: ${reason}`));
  worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => ("error" in data ? fail(data.error) : resolve());
  worker.onerror = ({ message }) => fail(message);
  worker.postMessage(setup);
  await promise;
}
