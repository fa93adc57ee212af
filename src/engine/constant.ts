/** Tensors that hold one number, which nothing changes. */
import type { Backend } from "./backend.ts";
import { format, size, Tensor } from "./tensor.ts";

const known = new WeakMap<Backend, Map<string, Tensor>>();

/** A tensor whose elements are all `value`. It is made once for each device, and lives as long as that. */
export function constant(backend: Backend, value: number, shape: readonly number[]): Tensor {
  const own = known.get(backend) ?? new Map<string, Tensor>();
  known.set(backend, own);
  const key = `${value}: ${format(shape)}`;
  let tensor = own.get(key);
  if (!tensor) {
    const buffer = backend.allocate("f32", size(shape));
    backend.write(buffer, new Float32Array(size(shape)).fill(value));
    own.set(key, (tensor = new Tensor(backend, shape, buffer)));
  }
  return tensor;
}
