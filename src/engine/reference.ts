/** The reference backend: runs each kernel's `reference` loop at once, on the main thread. Tests compare with it. */
import {
  ARRAYS,
  asView,
  checkAllocation,
  checkElements,
  ELEMENT_BYTES,
  type Backend,
  type Buffer,
  type BufferView,
  type HostArray,
  type KernelTime,
} from "./backend.ts";
import type { Elements, ElementType, Kernel } from "./kernel.ts";

interface ReferenceBuffer extends Buffer {
  readonly data: HostArray;
}

/** @param precision of f32 buffers; "f64" for gradient checks */
export function openReference(precision: "f32" | "f64" = "f32"): Backend {
  const Float = precision === "f64" ? Float64Array : Float32Array;
  const live = new Set<Buffer>();
  let times: KernelTime[] | undefined;
  const create = (type: ElementType, length: number): HostArray =>
    type === "f32" ? new Float(length).fill(NaN) : new ARRAYS[type](length);

  return {
    kind: "reference",
    description: `plain loops, ${precision}`,
    limits: { bindingBytes: Infinity, bufferBytes: Infinity, totalBytes: Infinity, viewAlignment: 1 },
    needsSplitting: false,
    reordersSums: false,
    hasHalf: true,
    parallelWorkgroups: 1,
    allocate(type, length) {
      checkAllocation(type, length, true);
      const buffer: ReferenceBuffer = { type, length, data: create(type, length) };
      live.add(buffer);
      return buffer;
    },
    free: (buffer) => void live.delete(buffer),
    write(buffer, data, offset = 0) {
      // Gradients are checked in double precision.
      if (!(data instanceof Float64Array && buffer.type === "f32")) checkElements(buffer, data);
      (buffer as ReferenceBuffer).data.set(data, offset);
    },
    run<B extends string, U extends string>(
      kernel: Kernel<B, U>,
      buffers: Readonly<Record<B, Buffer | BufferView>>,
      uniforms: Readonly<Record<U, number>>,
    ) {
      const elements = {} as Record<B, Elements>;
      for (const name in kernel.buffers) {
        const { buffer, offset, length } = asView(buffers[name]);
        elements[name] = (buffer as ReferenceBuffer).data.subarray(offset, offset + length);
      }
      const start = performance.now();
      kernel.reference(elements, uniforms);
      times?.push({ kernel: kernel.name, ms: performance.now() - start });
    },
    flush() {},
    read: async (buffer, offset = 0, length = buffer.length - offset) =>
      (buffer as ReferenceBuffer).data.slice(offset, offset + length),
    readNow: (buffer) => (buffer as ReferenceBuffer).data.slice() as Float32Array,
    async synchronize() {},
    async profile(work) {
      const taken: KernelTime[] = (times = []);
      try {
        work();
      } finally {
        times = undefined;
      }
      return taken;
    },
    statistics: () => ({
      buffers: live.size,
      bytes: [...live].reduce((sum, b) => sum + b.length * ELEMENT_BYTES[b.type], 0),
    }),
    async close() {
      live.clear();
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}
