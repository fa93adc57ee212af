/** A compute worker: runs the ring's commands. It is the only kind of thread here that ever blocks. */
import type { Kernel } from "../../engine/kernel.ts";
import type { BlasLibrary } from "../../native/libraries.ts";
import { instantiate } from "../../wasm/wasm.ts";
import { enterComputeWorker } from "../compute_worker.ts";
import { openBlas } from "./blas.ts";
import { wasmGemm } from "./gemm.ts";
import type { CpuKernel, Machine } from "./kernel.ts";
import { cpuKernels } from "./kernels/index.ts";
import { referencePlan } from "./reference_plan.ts";
import { CLOSE, DECLARE, noArguments, Ring, type Arguments } from "./ring.ts";

declare const self: {
  onmessage: ((event: { data: WorkerSetup }) => void) | null;
  postMessage(message: WorkerReply): void;
};

export interface WorkerSetup {
  readonly index: number;
  readonly threads: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly ring: SharedArrayBuffer;
  /** Address of this worker's own PACK_BYTES. */
  readonly packing: number;
  readonly blas: BlasLibrary | undefined;
}

export type WorkerReply = { readonly ready: true } | { readonly error: string };

/** What the workers get to know about a kernel when it is first used. */
export interface Declaration {
  readonly name: string;
  readonly module: string;
  readonly buffers: readonly string[];
  readonly uniforms: readonly string[];
}

interface Known extends Declaration {
  readonly plan: CpuKernel["plan"];
  readonly given: Arguments;
  readonly machine: Writable<Machine>;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Number of commands between garbage collections of a worker, which run in the background and take 0.1 ms; a power of
 * two. By itself, a worker collects only after some 80 MB, times the number of cores.
 */
const COLLECT = 4096;

enterComputeWorker();
self.onmessage = ({ data }) => {
  self.onmessage = null;
  void start(data);
};

async function start(setup: WorkerSetup): Promise<void> {
  let run: () => Promise<void>;
  try {
    run = prepare(setup);
  } catch (error) {
    self.postMessage({ error: text(error) });
    return;
  }
  self.postMessage({ ready: true });
  await run();
}

function prepare({
  index,
  threads,
  module,
  memory,
  ring: ringMemory,
  packing,
  blas,
}: WorkerSetup): () => Promise<void> {
  const ring = new Ring(ringMemory);
  const wasm = instantiate(module, memory);
  const gemm = blas ? openBlas(blas, memory) : wasmGemm(wasm, packing);
  const kernels = new Map<number, Known>();

  async function declare(sequence: number): Promise<void> {
    const { addresses, lengths } = ring.read(sequence, ["text"], [], noArguments());
    const bytes = new Uint8Array(memory.buffer, addresses.text!, lengths.text!).slice();
    const declaration = JSON.parse(new TextDecoder().decode(bytes)) as Declaration;
    const { plan } = cpuKernels.get(declaration.name) ?? (await fallback(declaration));
    const given = noArguments();
    const machine = { wasm, gemm, memory, lengths: given.lengths, shared: 0, scratch: 0 };
    kernels.set(ring.stage(sequence), { ...declaration, plan, given, machine });
  }

  function compute(sequence: number, { buffers, uniforms, plan, given, machine }: Known): void {
    ring.read(sequence, buffers, uniforms, given);
    machine.shared = given.shared;
    machine.scratch = given.scratch + index * given.scratchBytes;
    const stage = plan(given.uniforms, threads).stages[ring.stage(sequence)]!;
    for (let item = ring.take(sequence); item < stage.items; item = ring.take(sequence)) {
      stage.item(item, given.addresses, machine);
    }
  }

  return async function run() {
    for (let sequence = 0; ; sequence = (sequence + 1) | 0) {
      ring.await(sequence);
      const number = ring.kernel(sequence);
      if (number === CLOSE) return ring.finish(sequence, threads);
      try {
        if (number === DECLARE) await declare(sequence);
        else compute(sequence, kernels.get(number)!);
      } catch (error) {
        ring.fail(number, text(error));
      }
      ring.finish(sequence, threads);
      // Sequence numbers may wrap.
      if ((sequence & (COLLECT - 1)) === COLLECT - 1) Bun.gc(false);
    }
  };
}

/** For a kernel with no CPU implementation: its reference loop, from the op's own file, on one worker. */
async function fallback({ name, module }: Declaration): Promise<CpuKernel> {
  try {
    const exported = Object.values((await import(module)) as Record<string, unknown>);
    const kernel = exported.find((value) => isKernel(value) && value.name === name) as Kernel | undefined;
    if (!kernel) throw new Error(`${module} exports no kernel named ${name}`);
    return { name, plan: referencePlan(kernel) };
  } catch (error) {
    // Reported to the main thread when the kernel runs, with the kernel's name.
    const fail = () => {
      throw error;
    };
    return { name, plan: () => ({ stages: [{ items: 1, item: fail }] }) };
  }
}

function isKernel(value: unknown): value is Kernel {
  return typeof value === "object" && value !== null && "reference" in value && "name" in value;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
