/** Starts the compute workers. */
import { DeviceError } from "../../errors.ts";
import type { BlasLibrary } from "../../native/libraries.ts";
import { PACK_BYTES } from "./gemm.ts";
import type { Heap } from "./heap.ts";
import { createRing, Ring } from "./ring.ts";
import type { WorkerReply, WorkerSetup } from "./worker.ts";

interface WorkersOptions {
  readonly threads: number;
  readonly module: WebAssembly.Module;
  readonly heap: Heap;
  readonly blas: BlasLibrary | undefined;
}

/** @throws DeviceError when a worker can't start, with its reason */
export async function startWorkers({
  threads,
  module,
  heap,
  blas,
}: WorkersOptions): Promise<{ workers: Worker[]; ring: Ring }> {
  const ring = createRing();
  const workers: Worker[] = [];
  try {
    const ready = Array.from({ length: threads }, (_, index) => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
      workers.push(worker);
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
  return { workers, ring: new Ring(ring) };
}

async function start(worker: Worker, setup: WorkerSetup): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (reason: string) => reject(new DeviceError(`cpu: worker ${setup.index} did not start: ${reason}`));
  worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => ("error" in data ? fail(data.error) : resolve());
  worker.onerror = ({ message }) => fail(message);
  worker.postMessage(setup);
  await promise;
}
