/**
 * The CPU's matrix product ladder: plain TypeScript, scalar and SIMD WebAssembly, the kernel in use
 * (kernels/wasm/gemm.ts) on one thread and on several, and the machine's BLAS on one thread and on several.
 */
import { openCpu } from "../../src/devices/cpu/backend.ts";
import { PACK_BYTES, wasmGemm } from "../../src/devices/cpu/gemm.ts";
import type { Buffer } from "../../src/engine/backend.ts";
import { linearForward } from "../../src/engine/ops/linear.ts";
import { DeviceError } from "../../src/errors.ts";
import { compile, loadKernels } from "../../src/wasm/build.ts";
import { instantiate } from "../../src/wasm/wasm.ts";
import type { CpuProduct, CpuRung } from "./types.ts";

/** The textbook c = a · b; a: m × k, b: k × n, all row-major. */
function product(a: Float32Array, b: Float32Array, c: Float32Array, m: number, n: number, k: number): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[i * k + p]! * b[p * n + j]!;
      c[i * n + j] = sum;
    }
  }
}

function openTypescript(): CpuProduct {
  let work = () => {};
  let c = new Float32Array(0);
  return {
    load(a, b, m, n, k) {
      c = new Float32Array(m * n);
      work = () => product(a, b, c, m, n, k);
    },
    multiply: async () => work(),
    result: async () => c.slice(),
    close: async () => {},
  };
}

type Multiply = (a: number, b: number, c: number, m: number, n: number, k: number) => void;

/** Operands one after the other in a WebAssembly memory, after `reserved` bytes for the code's own use. */
function openWasm(memory: WebAssembly.Memory, reserved: number, run: Multiply): CpuProduct {
  let work = () => {};
  let [address, length] = [0, 0];
  return {
    load(a, b, m, n, k) {
      const [atA, atB, atC] = [reserved, reserved + a.byteLength, reserved + a.byteLength + b.byteLength];
      [address, length] = [atC, m * n];
      const missing = atC + length * 4 - memory.buffer.byteLength;
      if (missing > 0) grow(memory, missing);
      new Float32Array(memory.buffer, atA, a.length).set(a);
      new Float32Array(memory.buffer, atB, b.length).set(b);
      work = () => run(atA, atB, atC, m, n, k);
    },
    multiply: async () => work(),
    result: async () => new Float32Array(memory.buffer, address, length).slice(),
    close: async () => {},
  };
}

function grow(memory: WebAssembly.Memory, bytes: number): void {
  try {
    memory.grow(Math.ceil(bytes / 65_536));
  } catch (cause) {
    throw new DeviceError(`can't allocate ${bytes} more bytes of WebAssembly memory`, { cause });
  }
}

/** Bytes that the compiler uses at the start of the memory. */
const STATIC_BYTES = 65_536;

const newMemory = () => new WebAssembly.Memory({ initial: 64, maximum: 16_384, shared: true });

/** A function in bench/ladder/wasm, compiled each time: it takes a few seconds. */
async function openLadder(name: "scalar" | "simd"): Promise<CpuProduct> {
  const memory = newMemory();
  const module = await WebAssembly.compile(await compile("bench/ladder/wasm/index.ts"));
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  return openWasm(memory, STATIC_BYTES, instance.exports[name] as Multiply);
}

async function openKernel(): Promise<CpuProduct> {
  const memory = newMemory();
  const gemm = wasmGemm(instantiate(await loadKernels(), memory), STATIC_BYTES);
  return openWasm(memory, STATIC_BYTES + Math.ceil(PACK_BYTES / 16) * 16, (a, b, c, m, n, k) =>
    gemm(false, false, m, n, k, a, k, b, n, false, c, n),
  );
}

/** The whole backend: a fully connected layer's w · x, without a bias. */
async function openBackend(threads: number, blas: boolean): Promise<CpuProduct> {
  const backend = await openCpu({ threads, blas });
  if (blas && !backend.description.includes("BLAS") && !backend.description.includes("Accelerate")) {
    await backend.close();
    throw new DeviceError("there is no BLAS on this machine");
  }
  let buffers: Record<"w" | "x" | "b" | "y", Buffer> | undefined;
  let uniforms = { outputs: 0, inputs: 0, images: 0, splits: 1 };
  const release = () => {
    for (const buffer of Object.values(buffers ?? {})) backend.free(buffer);
  };
  return {
    load(a, b, m, n, k) {
      release();
      const make = (length: number) => backend.allocate("f32", length);
      buffers = { w: make(m * k), x: make(k * n), b: make(m), y: make(m * n) };
      backend.write(buffers.w, a);
      backend.write(buffers.x, b);
      backend.write(buffers.b, new Float32Array(m));
      uniforms = { outputs: m, inputs: k, images: n, splits: 1 };
    },
    async multiply() {
      backend.run(linearForward, buffers!, uniforms);
      await backend.synchronize();
    },
    result: async () => (await backend.read(buffers!.y)) as Float32Array,
    close: () => backend.close(),
  };
}

export const cpuMatmulLadder: readonly CpuRung[] = [
  { name: "cpu_1_typescript", about: "three loops over Float32Arrays", open: async () => openTypescript() },
  { name: "cpu_2_wasm", about: "the same in WebAssembly", open: () => openLadder("scalar") },
  { name: "cpu_3_simd", about: "four columns at a time", open: () => openLadder("simd") },
  { name: "cpu_4_tiles", about: "packed panels, 4 × 8 sums in registers: kernels/wasm/gemm.ts", open: openKernel },
  { name: "cpu_5_threads", about: "the same on all threads", open: (threads) => openBackend(threads, false) },
  { name: "cpu_6_blas", about: "the machine's BLAS on one thread", open: () => openBackend(1, true) },
  { name: "cpu_7_blas_threads", about: "BLAS on all threads", open: (threads) => openBackend(threads, true) },
];
