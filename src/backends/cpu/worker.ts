/** A compute worker: goes through the ring's commands, and is the only kind of thread here that ever blocks. */
import type { BlasLibrary } from "../../native/libraries.ts";
import { elementType, type Elements, type ElementType, type Kernel } from "../kernel.ts";
import { openBlas } from "./blas.ts";
import { wasmGemm } from "./gemm.ts";
import type { CpuKernel, Plan } from "./kernel.ts";
import { cpuKernels } from "./kernels/index.ts";
import { CLOSE, DECLARE, Ring, type Command } from "./ring.ts";
import { instantiate } from "./wasm.ts";

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
  /** Address of PACK_BYTES for this worker alone. */
  readonly packing: number;
  readonly blas: BlasLibrary | undefined;
}

export type WorkerReply = { readonly ready: true } | { readonly error: string };

/** What the workers are told of a kernel when it is first used. */
export interface Declaration {
  readonly name: string;
  readonly module: string;
  readonly buffers: readonly string[];
  readonly uniforms: readonly string[];
}

interface Known extends Declaration {
  readonly number: number;
  readonly plan: CpuKernel["plan"];
}

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

  function compute(sequence: number, known: Known, command: Command): void {
    const at = named(known.buffers, command.addresses);
    const machine = {
      wasm,
      gemm,
      memory,
      lengths: named(known.buffers, command.lengths),
      shared: command.shared,
      scratch: command.scratch + index * command.scratchBytes,
    };
    const plan: Plan = known.plan(named(known.uniforms, command.uniforms), threads);
    const stage = plan.stages[command.stage]!;
    for (let item = ring.take(sequence); item < stage.items; item = ring.take(sequence)) stage.item(item, at, machine);
  }

  return async function run() {
    for (let sequence = 0; ; sequence = (sequence + 1) | 0) {
      ring.await(sequence);
      const number = ring.kernel(sequence);
      if (number === CLOSE) return ring.finish(sequence, threads);
      try {
        if (number === DECLARE) {
          const known = await declare(memory, ring.command(sequence, 1, 0));
          kernels.set(known.number, known);
        } else {
          const known = kernels.get(number)!;
          compute(sequence, known, ring.command(sequence, known.buffers.length, known.uniforms.length));
        }
      } catch (error) {
        ring.fail(number, text(error));
      }
      ring.finish(sequence, threads);
    }
  };
}

async function declare(memory: WebAssembly.Memory, { stage, addresses, lengths }: Command): Promise<Known> {
  const bytes = new Uint8Array(memory.buffer, addresses[0]!, lengths[0]!).slice();
  const declaration = JSON.parse(new TextDecoder().decode(bytes)) as Declaration;
  const { name } = declaration;
  const fast = cpuKernels.get(name) ?? (await fallback(declaration));
  return { ...declaration, number: stage, plan: fast.plan };
}

/** A kernel that nobody has written for the CPU: its reference loop, found in the op's own file, on one worker. */
async function fallback({ name, module }: Declaration): Promise<CpuKernel> {
  try {
    const exported = Object.values((await import(module)) as Record<string, unknown>);
    const kernel = exported.find((value) => isKernel(value) && value.name === name) as Kernel | undefined;
    if (!kernel) throw new Error(`${module} exports no kernel named ${name}`);
    return { name, plan: referencePlan(kernel) };
  } catch (error) {
    // The main thread hears of it when the kernel runs, with the kernel's name.
    const fail = () => {
      throw error;
    };
    return { name, plan: () => ({ stages: [{ items: 1, item: fail }] }) };
  }
}

function isKernel(value: unknown): value is Kernel {
  return typeof value === "object" && value !== null && "reference" in value && "name" in value;
}

function referencePlan(kernel: Kernel): CpuKernel["plan"] {
  return (uniforms) => ({
    stages: [
      {
        items: 1,
        item(_, at, { memory, lengths }) {
          const elements: Record<string, Elements> = {};
          for (const name in kernel.buffers) {
            elements[name] = view(memory, elementType(kernel.buffers[name]!), at[name]!, lengths[name]!);
          }
          kernel.reference(elements, uniforms);
        },
      },
    ],
  });
}

function view(memory: WebAssembly.Memory, type: ElementType, address: number, length: number): Elements {
  const View = type === "f32" ? Float32Array : type === "u32" ? Uint32Array : Uint8Array;
  return new View(memory.buffer, address, length);
}

function named<T>(names: readonly string[], values: readonly T[]): Record<string, T> {
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
