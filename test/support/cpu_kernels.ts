/** Kernels for the tests of the CPU backend, in a file that a worker can import. */
import { kernel } from "../../src/engine/kernel.ts";

const common = { module: import.meta.url, wgsl: "", workgroups: () => [1, 1, 1] as const };

/** One that the backend has no WebAssembly for: y = factor · x, and the u8 and u32 buffers get its length. */
export const scale = kernel({
  ...common,
  name: "fixture_scale",
  buffers: { x: "read", y: "write", bytes: "write u8", words: "write u32" },
  uniforms: { factor: "f32" },
  reference({ x, y, bytes, words }, { factor }) {
    for (let i = 0; i < x.length; i++) y[i] = factor * x[i]!;
    bytes[0] = words[0] = x.length;
  },
});

export const failing = kernel({
  ...common,
  name: "fixture_failing",
  buffers: { x: "read" },
  uniforms: {},
  reference() {
    throw new Error("it always fails");
  },
});

/** Keeps its worker busy. */
export const slow = kernel({
  ...common,
  name: "fixture_slow",
  buffers: { x: "update" },
  uniforms: { ms: "u32" },
  reference({ x }, { ms }) {
    const end = performance.now() + ms;
    while (performance.now() < end);
    x[0]!++;
  },
});

/** Declarations that lead nowhere: made by functions, so that the module exports no such kernel. */
export const missing = () => ({ ...scale, name: "fixture_missing" });
export const nowhere = () => ({ ...scale, name: "fixture_nowhere", module: "file:///no/such/file.ts" });
