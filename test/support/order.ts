/** The order of work on backends of the CPU, which read and write buffers without a device between. */
import { expect, test } from "bun:test";
import type { Backend, Buffer } from "../../src/engine/backend.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";

/** Short work with numbers. */
export function workOn(backend: Backend) {
  return {
    buffer(...values: number[]): Buffer {
      const made = backend.allocate("f32", values.length);
      backend.write(made, Float32Array.from(values));
      return made;
    },
    /** y ← x + y */
    add: (x: Buffer, y: Buffer) => backend.run(accumulateKernel, { x, y }, { size: y.length }),
  };
}

/** @param wait queues what takes some time, so that the rest is still queued when it is asked for */
export function testOrder(backend: Backend, wait = () => {}): void {
  const { buffer, add } = workOn(backend);

  test("reads and writes take their place among kernels", async () => {
    const [x, y] = [buffer(1, 2), buffer(10, 20)];
    wait();
    add(x, y);
    const before = backend.read(y);
    backend.write(x, Float32Array.of(100, 200));
    add(x, y);
    const after = backend.read(y);
    expect([...(await before)]).toEqual([11, 22]);
    expect([...(await after)]).toEqual([111, 222]);
  });

  test("memory given back is not used again before its kernels are done", async () => {
    const [x, y] = [buffer(1, 1), buffer(5, 5)];
    wait();
    add(x, y);
    backend.free(x);
    const taken = [buffer(7, 7), buffer(8, 8)];
    expect([...(await backend.read(y))]).toEqual([6, 6]);
    expect([...(await backend.read(taken[0]!))]).toEqual([7, 7]);
  });
}
