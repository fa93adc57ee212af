/**
 * A backend that computes nothing and counts memory: tells what work would allocate on a device before any is
 * allocated.
 */
import { ELEMENT_BYTES, type Backend } from "./backend.ts";

/** @param device the backend whose limits and properties ops are to see */
export function openCounting(device: Backend): Backend {
  const { kind, limits, needsSplitting, reordersSums, hasHalf, parallelWorkgroups } = device;
  let [buffers, bytes] = [0, 0];
  const count = (sign: 1 | -1, type: keyof typeof ELEMENT_BYTES, length: number) => {
    buffers += sign;
    bytes += sign * ELEMENT_BYTES[type] * length;
  };
  return {
    ...{ kind, limits, needsSplitting, reordersSums, hasHalf, parallelWorkgroups },
    description: `what ${device.description} would hold`,
    allocate(type, length) {
      count(1, type, length);
      return { type, length };
    },
    free: ({ type, length }) => count(-1, type, length),
    write() {},
    run() {},
    fastest(kernel, sizes, ways) {
      const known = device.fastest?.(kernel, sizes, {});
      // What isn't measured yet will be, by running every way.
      if (device.fastest && known === undefined) for (const run of Object.values(ways)) run();
      return known;
    },
    flush() {},
    read: async (_buffer, _offset, length = 0) => new Float32Array(length),
    readNow: ({ length }) => new Float32Array(length),
    async synchronize() {},
    async profile(work) {
      work();
      return [];
    },
    statistics: () => ({ buffers, bytes }),
    async close() {},
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}
