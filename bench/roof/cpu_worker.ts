/** One thread of the cpu's roof: runs a task together with the others and reports when it began and ended. */
import { openBlas } from "../../src/devices/cpu/blas.ts";
import type { BlasLibrary } from "../../src/native/libraries.ts";
import { flopsPerRound, fmaModule } from "./wasm_fma.ts";

declare const self: {
  onmessage: ((event: { data: RoofTask }) => void) | null;
  postMessage(message: RoofReply): void;
};

export type RoofTask = {
  /** The number of threads that have arrived; they begin when all have. */
  readonly gate: Int32Array<SharedArrayBuffer>;
  readonly threads: number;
} & (
  | { readonly kind: "fma"; readonly chains: number; readonly rounds: number }
  | { readonly kind: "copy"; readonly bytes: number; readonly piece: number; readonly rounds: number }
  | { readonly kind: "blas"; readonly blas: BlasLibrary; readonly side: number; readonly rounds: number }
);

/** `amount` in flop or bytes; times in ms, on a clock shared by all threads. */
export type RoofReply = { readonly amount: number; readonly begin: number; readonly end: number } | { error: string };

self.onmessage = ({ data: task }) => {
  try {
    const { work, amount } = prepare(task);
    work(); // warm-up: compiles, and touches the memory
    meet(task);
    const begin = now();
    for (let i = 0; i < task.rounds; i++) work();
    self.postMessage({ amount: amount * task.rounds, begin, end: now() });
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};

function prepare(task: RoofTask): { work: () => void; amount: number } {
  switch (task.kind) {
    case "fma": {
      const INNER = 100_000;
      const { run } = new WebAssembly.Instance(new WebAssembly.Module(fmaModule(task.chains))).exports;
      const work = () => {
        const sum = (run as (rounds: number) => number)(INNER);
        if (sum !== 2 * task.chains) throw new Error(`the sum is ${sum}, not ${2 * task.chains}`);
      };
      return { work, amount: INNER * flopsPerRound(task.chains) };
    }
    case "copy": {
      const from = new Uint8Array(task.bytes).fill(7);
      const to = new Uint8Array(task.bytes);
      const work = () => {
        for (let at = 0; at < task.bytes; at += task.piece) to.set(from.subarray(at, at + task.piece), at);
      };
      return { work, amount: 2 * task.bytes };
    }
    case "blas": {
      const { side } = task;
      const bytes = 4 * side * side;
      const pages = Math.ceil((3 * bytes) / 65_536);
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      new Float32Array(memory.buffer, 0, 2 * side * side).fill(0.5);
      const multiply = openBlas(task.blas, memory);
      const work = () => multiply(false, false, side, side, side, 0, side, bytes, side, false, 2 * bytes, side);
      return { work, amount: 2 * side ** 3 };
    }
  }
}

/** A barrier: returns when all threads have arrived. */
function meet({ gate, threads }: RoofTask): void {
  const here = Atomics.add(gate, 0, 1) + 1;
  if (here === threads) Atomics.notify(gate, 0);
  for (let seen = here; seen < threads; seen = Atomics.load(gate, 0)) Atomics.wait(gate, 0, seen, 100);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
