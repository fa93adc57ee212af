/**
 * The CPU backend, on all cores: a pool of Workers runs WebAssembly SIMD kernels on one shared memory, with matrix
 * products by the machine's BLAS if there is one. The main thread only writes commands, and blocks only in `readNow`.
 */
import { fileURLToPath } from "node:url";
import {
  asView,
  checkAllocation,
  checkElements,
  ELEMENT_BYTES,
  type Backend,
  type Buffer,
  type BufferView,
} from "../../engine/backend.ts";
import type { Kernel } from "../../engine/kernel.ts";
import { DeviceError, UsageError } from "../../errors.ts";
import { findBlas, sayMissing } from "../../native/libraries.ts";
import { OPENBLAS } from "../../native/table.ts";
import { loadKernels } from "../../wasm/build.ts";
import { plural } from "../../words.ts";
import { refuseInComputeWorker } from "../compute_worker.ts";
import { hostMemory } from "../host_memory.ts";
import { Heap, MAX_PAGES } from "./heap.ts";
import { cpuKernels } from "./kernels/index.ts";
import { HeapBuffers, STATIC_BYTES } from "./memory.ts";
import { Queue } from "./queue.ts";
import { startWorkers } from "./workers.ts";

interface CpuOptions {
  /** Number of workers; one per core by default. */
  readonly threads?: number;
  /** Whether to use the machine's BLAS, if there is one; yes by default. */
  readonly blas?: boolean;
}

const MAX_THREADS = 1024;
/** The share of the machine's memory that is allocated at most: the rest is for decoding, caches and other programs. */
const MEMORY_SHARE = 3 / 4;

/**
 * @throws DeviceError when the kernels don't compile or a worker doesn't start; UsageError for an invalid number of
 * threads
 */
export async function openCpu(options: CpuOptions = {}): Promise<Backend> {
  refuseInComputeWorker("a device is opened");
  const threads = options.threads ?? navigator.hardwareConcurrency;
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new UsageError(`cpu: ${threads} threads, must be a whole number from 1 to ${MAX_THREADS}`);
  }
  const { workers, ring, heap, blas } = await startWorkers(threads, async () => {
    const blas = options.blas === false ? undefined : await findBlas();
    if (!blas && options.blas !== false) sayMissing(OPENBLAS, "no BLAS, so that the CPU is about half as fast");
    return { module: await loadKernels(), heap: new Heap(reserveMemory(), STATIC_BYTES), blas };
  });
  const { memory } = heap;
  const queue = new Queue(heap, ring, threads);
  for (const [index, worker] of workers.entries()) {
    worker.onerror = ({ message }) => queue.abandon(new DeviceError(`cpu: worker ${index} ended: ${message}`));
    // Importing a kernel's module may end the thread.
    worker.addEventListener("close", () => queue.abandon(new DeviceError(`cpu: worker ${index} ended`)));
  }
  const buffers = new HeapBuffers(memory);
  const addressOf = (view: BufferView): number => {
    queue.assertOpen();
    return buffers.addressOf(view);
  };

  return {
    kind: "cpu",
    description: `${plural(threads, "thread")}, ${blas ? blas.kind : "WebAssembly without BLAS"}`,
    limits: {
      bindingBytes: Infinity,
      bufferBytes: MAX_PAGES * 65_536,
      totalBytes: Math.min(MAX_PAGES * 65_536, MEMORY_SHARE * hostMemory()),
      viewAlignment: 4,
    },
    needsSplitting: false,
    reordersSums: false,
    hasHalf: false,
    parallelWorkgroups: 1,

    allocate(type, length) {
      checkAllocation(type, length);
      return buffers.add(type, length, queue.allocate(length * ELEMENT_BYTES[type]));
    },

    free(buffer) {
      const address = buffers.remove(buffer);
      if (address !== undefined) queue.free(address);
    },

    write(buffer, data, offset = 0) {
      checkElements(buffer, data);
      const to = addressOf({ buffer, offset, length: data.length });
      if (queue.idle) {
        buffers.elements(buffer.type, to, data.length).set(data);
        return;
      }
      const bytes = data.length * ELEMENT_BYTES[buffer.type];
      const staging = queue.allocate(bytes);
      buffers.elements(buffer.type, staging, data.length).set(data);
      queue.copy(staging, to, bytes);
      queue.free(staging);
    },

    run<B extends string, U extends string>(
      kernel: Kernel<B, U>,
      given: Readonly<Record<B, Buffer | BufferView>>,
      uniforms: Readonly<Record<U, number>>,
    ) {
      const views = (Object.keys(kernel.buffers) as B[]).map((name) => asView(given[name]));
      const values = (Object.keys(kernel.uniforms) as U[]).map((name) => uniforms[name]);
      const own = cpuKernels.get(kernel.name);
      if (!own) refuseMainModule(kernel);
      const plan = own?.plan(uniforms, threads) ?? { stages: [{ items: 1 }] };
      queue.run(
        kernel,
        plan,
        views.map(addressOf),
        views.map((view) => view.length),
        values,
      );
    },

    flush() {},

    async read(buffer, offset = 0, length = buffer.length - offset) {
      const from = addressOf({ buffer, offset, length });
      if (queue.idle) {
        queue.check();
        return buffers.elements(buffer.type, from, length).slice();
      }
      // Copied, since kernels queued after this call may change the buffer before the main thread reads it.
      const bytes = length * ELEMENT_BYTES[buffer.type];
      const staging = queue.allocate(bytes);
      queue.copy(from, staging, bytes);
      try {
        await queue.done();
        return buffers.elements(buffer.type, staging, length).slice();
      } finally {
        queue.free(staging);
      }
    },

    readNow(buffer) {
      queue.wait();
      return buffers.elements("f32", addressOf(asView(buffer)), buffer.length).slice() as Float32Array;
    },

    memoryOf: (buffer) => {
      const { length } = buffer;
      return buffers.elements(buffer.type, addressOf({ buffer, offset: 0, length }), length);
    },

    synchronize: () => queue.done(),

    profile: (work) => queue.profile(work),

    statistics: () => buffers.statistics(),

    async close() {
      await queue.close();
      for (const worker of workers) worker.terminate();
      buffers.clear();
    },
    [Symbol.asyncDispose](this: Backend) {
      return this.close();
    },
  };
}

/** @throws DeviceError when finding the kernel's reference loop would make every worker run the program itself */
function refuseMainModule({ name, module }: Pick<Kernel, "name" | "module">): void {
  if (!module.startsWith("file:") || fileURLToPath(module) !== Bun.main) return;
  throw new DeviceError(
    `cpu: kernel ${name} is declared in the program's main module, ${Bun.main}, which every worker would run again to ` +
      "find its reference loop: declare it in a separate module",
  );
}

/** Reserves an address space of 4 GiB; memory itself is allocated as needed. */
function reserveMemory(): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES, shared: true });
  } catch (cause) {
    throw new DeviceError(
      "cpu: can't reserve 4 GiB of address space: is there a limit on virtual memory (ulimit -v)?",
      {
        cause,
      },
    );
  }
}
