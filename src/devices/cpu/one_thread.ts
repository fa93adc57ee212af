/**
 * The CPU backend on a single thread: the one that calls it, which may be a page's. The same WebAssembly kernels on the
 * same plans as those of `openCpu`, in memory that nobody shares, so that a page needs no special headers.
 */
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
import { DeviceError, DeviceMemoryError } from "../../errors.ts";
import { instantiate } from "../../wasm/wasm.ts";
import { PACK_BYTES, wasmGemm } from "./gemm.ts";
import { Heap, MAX_PAGES } from "./heap.ts";
import type { CpuKernel } from "./kernel.ts";
import { cpuKernels } from "./kernels/index.ts";
import { HeapBuffers, STATIC_BYTES } from "./memory.ts";
import { referencePlan } from "./reference_plan.ts";
import { Turns, type Job } from "./turns.ts";

/** @param module kernels/wasm, compiled for a memory that is not shared: see src/wasm/unshared.ts */
export function openOneThread(module: WebAssembly.Module): Backend {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES });
  const heap = new Heap(memory, STATIC_BYTES);
  const buffers = new HeapBuffers(memory);
  const wasm = instantiate(module, memory);
  const gemm = wasmGemm(wasm, heap.allocate(PACK_BYTES));
  const turns = new Turns();
  const plans = new WeakMap<object, CpuKernel["plan"]>();
  const workspaces = { shared: { address: 0, bytes: 0 }, scratch: { address: 0, bytes: 0 } };
  let profiled: { kernel: string; stages: Job[] }[] | undefined;
  let closed = false;

  const assertOpen = () => {
    if (closed) throw new DeviceError("cpu: the backend is closed");
  };
  const allocate = (bytes: number): number => {
    try {
      return heap.allocate(bytes);
    } catch (error) {
      if (!(error instanceof DeviceMemoryError) || turns.idle) throw error;
      // What was freed is still used by work that isn't done.
      turns.finish();
      return heap.allocate(bytes);
    }
  };
  const free = (address: number) => {
    if (turns.idle) heap.free(address);
    else turns.add({ items: 1, item: () => heap.free(address) });
  };
  /** The address of a workspace of at least so many bytes. */
  const workspace = (name: keyof typeof workspaces, bytes: number): number => {
    if (bytes > workspaces[name].bytes) {
      if (workspaces[name].bytes > 0) free(workspaces[name].address);
      workspaces[name] = { address: allocate(bytes), bytes };
    }
    return workspaces[name].address;
  };

  return {
    kind: "cpu",
    description: "1 thread, WebAssembly without BLAS",
    limits: {
      bindingBytes: Infinity,
      bufferBytes: MAX_PAGES * 65_536,
      totalBytes: MAX_PAGES * 65_536,
      viewAlignment: 4,
    },
    needsSplitting: false,
    reordersSums: false,
    hasHalf: false,
    parallelWorkgroups: 1,

    allocate(type, length) {
      assertOpen();
      checkAllocation(type, length);
      return buffers.add(type, length, allocate(length * ELEMENT_BYTES[type]));
    },

    free(buffer) {
      const address = buffers.remove(buffer);
      if (address !== undefined) free(address);
    },

    write(buffer, data, offset = 0) {
      assertOpen();
      checkElements(buffer, data);
      const { type } = buffer;
      const { length } = data;
      const to = buffers.addressOf({ buffer, offset, length });
      if (turns.idle) return buffers.elements(type, to, length).set(data);
      const copy = data.slice();
      turns.add({ items: 1, item: () => buffers.elements(type, to, length).set(copy) });
    },

    run<B extends string, U extends string>(
      kernel: Kernel<B, U>,
      given: Readonly<Record<B, Buffer | BufferView>>,
      uniforms: Readonly<Record<U, number>>,
    ) {
      assertOpen();
      let plan = plans.get(kernel);
      if (!plan) {
        plan = cpuKernels.get(kernel.name)?.plan ?? referencePlan(kernel as unknown as Kernel);
        plans.set(kernel, plan);
      }
      const addresses: Record<string, number> = {};
      const lengths: Record<string, number> = {};
      for (const name in kernel.buffers) {
        const view = asView(given[name]);
        addresses[name] = buffers.addressOf(view);
        lengths[name] = view.length;
      }
      // In the order of the declaration.
      const values = Object.fromEntries((Object.keys(kernel.uniforms) as U[]).map((name) => [name, uniforms[name]]));
      const { stages, shared = 0, scratch = 0 } = plan(values, 1);
      const machine = {
        ...{ wasm, gemm, memory, lengths },
        shared: workspace("shared", shared),
        scratch: workspace("scratch", scratch),
      };
      const jobs = stages.map(({ items, item }) => ({
        kernel: kernel.name,
        items,
        item: (index: number) => item(index, addresses, machine),
      }));
      for (const job of jobs) turns.add(job);
      profiled?.push({ kernel: kernel.name, stages: jobs });
    },

    flush: () => turns.start(),

    async read(buffer, offset = 0, length = buffer.length - offset) {
      assertOpen();
      const from = buffers.addressOf({ buffer, offset, length });
      return turns.after(() => buffers.elements(buffer.type, from, length).slice());
    },

    readNow(buffer) {
      assertOpen();
      turns.finish();
      return buffers.elements("f32", buffers.addressOf(asView(buffer)), buffer.length).slice() as Float32Array;
    },

    memoryOf: (buffer) => buffers.elements(buffer.type, buffers.addressOf(asView(buffer)), buffer.length),

    async synchronize() {
      assertOpen();
      await turns.after(() => {});
    },

    async profile(work) {
      await turns.after(() => {});
      const kernels: NonNullable<typeof profiled> = (profiled = []);
      try {
        work();
      } finally {
        profiled = undefined;
      }
      await turns.after(() => {});
      return kernels.map(({ kernel, stages }) => ({
        kernel,
        ms: stages.reduce((sum, { ms = 0 }) => sum + ms, 0),
      }));
    },

    statistics: () => buffers.statistics(),

    async close() {
      if (closed) return;
      closed = true;
      await turns.after(() => {});
      buffers.clear();
    },
    [Symbol.asyncDispose](this: Backend) {
      return this.close();
    },
  };
}
