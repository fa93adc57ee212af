import type { Backend, Buffer } from "./backend.ts";
import type { ElementType } from "./kernel.ts";

/**
 * Keeps idle buffers for reuse. Shapes repeat from step to step, so each step takes, in the same order, what the last
 * one gave back: from the second step on nothing is allocated, and the GPU's bind groups can be reused.
 */
class Pool {
  readonly #backend: Backend;
  readonly #idle = new Map<string, Buffer[]>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  take(type: ElementType, length: number): Buffer {
    return this.#idle.get(`${type}:${length}`)?.pop() ?? this.#backend.allocate(type, length);
  }

  give(buffer: Buffer): void {
    const key = `${buffer.type}:${buffer.length}`;
    const idle = this.#idle.get(key);
    if (idle) idle.push(buffer);
    else this.#idle.set(key, [buffer]);
  }

  /** Frees idle buffers, before work with other shapes. */
  trim(): void {
    for (const idle of this.#idle.values()) for (const buffer of idle) this.#backend.free(buffer);
    this.#idle.clear();
  }
}

const pools = new WeakMap<Backend, Pool>();

/** The pool of a backend. */
export function poolOf(backend: Backend): Pool {
  let pool = pools.get(backend);
  if (!pool) pools.set(backend, (pool = new Pool(backend)));
  return pool;
}
