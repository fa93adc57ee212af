/** Runs a single kernel, such as a rung of a ladder, on inputs from the host. */
import type { Backend, Buffer, HostArray } from "../src/engine/backend.ts";
import { elementType, type Kernel } from "../src/engine/kernel.ts";
import type { LayerPass } from "./pass.ts";

/**
 * Uploads the inputs. The one buffer that is not an input is the result, of `length` f32.
 * @throws DeviceError when there is not enough memory
 */
export function loadKernel<B extends string, U extends string>(
  backend: Backend,
  kernel: Kernel<B, U>,
  inputs: Readonly<Partial<Record<B, HostArray>>>,
  length: number,
  uniforms: Readonly<Record<U, number>>,
): LayerPass {
  const buffers = {} as Record<B, Buffer>;
  const free = () => Object.values<Buffer>(buffers).forEach((buffer) => backend.free(buffer));
  try {
    for (const name in kernel.buffers) {
      const data = inputs[name];
      buffers[name] = backend.allocate(elementType(kernel.buffers[name]), data?.length ?? length);
      if (data) backend.write(buffers[name], data);
    }
  } catch (error) {
    free();
    throw error;
  }
  const result = buffers[(Object.keys(buffers) as B[]).find((name) => !(name in inputs))!];
  const queue = () => backend.run(kernel, buffers, uniforms);
  return {
    queue,
    async compute() {
      backend.write(result, new Float32Array(length).fill(NaN));
      queue();
      return backend.read(result);
    },
    free,
  };
}
