import type { Backend } from "../../src/engine/backend.ts";

/** The same device, with some changes, and the names of the kernels that are run on it. */
export function watched(
  backend: Backend,
  changes: Partial<Backend> = {},
): { readonly backend: Backend; readonly kernels: string[] } {
  const kernels: string[] = [];
  return {
    kernels,
    backend: {
      ...backend,
      ...changes,
      run(kernel, buffers, uniforms) {
        kernels.push(kernel.name);
        backend.run(kernel, buffers, uniforms);
      },
    },
  };
}
