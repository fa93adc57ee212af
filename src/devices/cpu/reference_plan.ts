/** How a kernel without a CPU implementation is computed: by its reference loop, as one item. */
import { ARRAYS } from "../../engine/backend.ts";
import { elementType, type Elements, type ElementType, type Kernel } from "../../engine/kernel.ts";
import type { CpuKernel } from "./kernel.ts";

export function referencePlan(kernel: Kernel): CpuKernel["plan"] {
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
  return new ARRAYS[type](memory.buffer, address, length);
}
