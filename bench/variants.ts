/** A pass of a layer by each variant of its kernels, whichever the device would choose. */
import type { Backend } from "../src/engine/backend.ts";
import { openCounting } from "../src/engine/counting.ts";
import type { Kernel } from "../src/engine/kernel.ts";

/**
 * A backend that runs kernels by the variant of this name, where they have it and it fits; without a name, and
 * otherwise, by their own WGSL. It shares its memory with `backend`.
 */
export function byVariant(backend: Backend, name?: string): Backend {
  // Backends know a kernel again by its object.
  const made = new Map<object, Kernel>();
  return replacing(backend, {
    run(kernel, buffers, uniforms) {
      const variant = kernel.variants?.find((each) => each.name === name && (each.fits?.(uniforms) ?? true));
      const own = made.get(variant ?? kernel) ?? ({ ...kernel, ...variant, variants: [] } as unknown as Kernel);
      made.set(variant ?? kernel, own);
      backend.run(own, buffers, uniforms);
    },
  });
}

/**
 * The names of the variants that fit in the work that `queue` does.
 * @param queue given a backend that computes nothing
 */
export function variantsIn(backend: Backend, queue: (backend: Backend) => void): string[] {
  const names = new Set<string>();
  const note = ({ variants = [] }: Kernel, uniforms: Readonly<Record<string, number>>) => {
    for (const { name, fits } of variants) if (fits?.(uniforms) ?? true) names.add(name);
  };
  queue(
    replacing(openCounting(backend), {
      run: (kernel, _, uniforms) => note(kernel as unknown as Kernel, uniforms),
    }),
  );
  return [...names];
}

/** The backend with other methods. Its own keep their `this`, since classes have private fields. */
function replacing(backend: Backend, methods: Partial<Backend>): Backend {
  return new Proxy(backend, {
    get(target, name) {
      const own = Reflect.get(methods, name) as unknown;
      if (own !== undefined) return own;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
