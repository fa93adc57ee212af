/**
 * The contract of a backend: what allocates memory on a device and runs kernels there. Kernels are queued and run in
 * order; only methods that return a promise wait, and `readNow`. How a kernel is computed is up to the backend; the result must be
 * that of `kernel.reference`.
 */
import { DeviceError, ShapeError } from "../errors.ts";
import { requireWhole, show } from "../options.ts";
import type { ElementType, Kernel } from "./kernel.ts";

/** Memory on the device, opaque to everyone but the backend that made it. */
export interface Buffer {
  readonly type: ElementType;
  /** In elements. */
  readonly length: number;
}

/** A run of elements inside a buffer, for buffers too long for one binding. */
export interface BufferView {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly length: number;
}

/** Float16Array and its constructor, for programs that are compiled for a language that has it (ES2025). */
export type HalfArray = typeof globalThis extends { Float16Array: { prototype: infer A } } ? A : never;
type HalfArrayConstructor = typeof globalThis extends { Float16Array: infer C } ? C : never;

export type HostArray = Float32Array | Float64Array | HalfArray | Uint32Array | Uint8Array;

/** The array that elements of each type are read into; on a reference backend in double precision, f32 is a Float64Array. */
export interface ArrayOf {
  readonly f32: Float32Array;
  readonly u32: Uint32Array;
  readonly u8: Uint8Array;
  readonly f16: HalfArray;
}

/** How long a kernel took. */
export interface KernelTime {
  /** Its name, or that of the variant that ran. */
  readonly kernel: string;
  /** By the device's own clock, if it has one. */
  readonly ms: number;
}

export interface Backend extends AsyncDisposable {
  /** "wgpu" and "webgpu" are GPUs, by wgpu-native and by the standard API of web pages. */
  readonly kind: "wgpu" | "webgpu" | "cpu" | "reference";
  /** For people: the adapter and its driver; or the number of threads and the BLAS. */
  readonly description: string;
  readonly limits: {
    /** The largest buffer or view that a kernel can be given, in bytes. */
    readonly bindingBytes: number;
    /** The largest buffer, in bytes. */
    readonly bufferBytes: number;
    /** All the memory that may be allocated, in bytes; Infinity if the device doesn't say. */
    readonly totalBytes: number;
    /** A view's offset must be a multiple of this many bytes. */
    readonly viewAlignment: number;
  };
  /**
   * Whether ops should split long sums and use Winograd's filtering to keep the device busy. false on the cpu, whose
   * kernels do both themselves.
   */
  readonly needsSplitting: boolean;
  /**
   * Whether the device's compiler may reorder the terms of a sum, as Metal's does. Results are still reproducible, but
   * a kernel and its variants may differ by rounding.
   */
  readonly reordersSums: boolean;
  /** Whether buffers of type f16 can be allocated, and stand where kernels declare f32. */
  readonly hasHalf: boolean;
  /** How many workgroups the device runs at once. With `needsSplitting`, an op with fewer splits its work further. */
  readonly parallelWorkgroups: number;

  /** Allocates memory; its contents are undefined. @throws DeviceError when there is not enough */
  allocate(type: ElementType, length: number): Buffer;
  /** Frees memory; kernels already queued may still use it. */
  free(buffer: Buffer): void;
  /** Copies `data` (same element type) to the buffer, after everything queued so far. */
  write(buffer: Buffer, data: HostArray, offset?: number): void;
  /** Queues a kernel. Every buffer and uniform of its declaration must be given. */
  run<B extends string, U extends string>(
    kernel: Kernel<B, U>,
    buffers: Readonly<Record<B, Buffer | BufferView>>,
    uniforms: Readonly<Record<U, number>>,
  ): void;
  /**
   * The name of the way that takes the device the least time, of several that queue kernels for the same result; absent
   * on a device that measures nothing. The first time, all are run and timed, which blocks; then the answer is kept, on
   * disk too, since the ways may round differently. Without `ways` it is only looked up.
   * @param kernel with `sizes`, what is computed
   * @param ways each overwrites what it computes, so that it can be run any number of times
   * @returns undefined if there are no measurements @throws DeviceError when the device failed
   */
  fastest?(
    kernel: Kernel,
    sizes: Readonly<Record<string, number>>,
    ways: Readonly<Record<string, () => void>>,
  ): string | undefined;
  /**
   * Starts queued work that the device hasn't already started; `read` and `synchronize` imply it. A training step calls
   * it once, at its end.
   */
  flush(): void;
  /**
   * The contents after everything queued so far, in an array of the element type. @throws DeviceError when the
   * device failed
   */
  read(buffer: Buffer, offset?: number, length?: number): Promise<HostArray>;
  /**
   * The contents of an f32 buffer, as `read`, but blocks; for the few numbers that devices exchange in the middle of a
   * pass. @throws DeviceError when the device failed, or can't block, as WebGPU in a page
   */
  readNow(buffer: Buffer): Float32Array | Float64Array;
  /**
   * The buffer's own memory, valid while nothing queued touches it; absent if this process can't address the device's
   * memory.
   */
  memoryOf?(buffer: Buffer): HostArray;
  /** Resolves when everything queued so far is done. @throws DeviceError when the device failed */
  synchronize(): Promise<void>;
  /**
   * Times each kernel that `work` queues, in order. They run as usual, one after another. @throws DeviceError when the
   * device failed
   */
  profile(work: () => void): Promise<KernelTime[]>;
  /** What is allocated now; the same after step 2 and step 12 of a training. */
  statistics(): { buffers: number; bytes: number };
  /** Frees everything; the backend can't be used afterwards. */
  close(): Promise<void>;
}

export const ARRAYS: {
  readonly f32: Float32ArrayConstructor;
  readonly u32: Uint32ArrayConstructor;
  readonly u8: Uint8ArrayConstructor;
  readonly f16: HalfArrayConstructor;
} = {
  ...{ f32: Float32Array, u32: Uint32Array, u8: Uint8Array },
  // Browsers from before 2025 have none, and are not asked for any: `hasHalf` is false there.
  f16: globalThis.Float16Array,
};

/** @throws DeviceError for an array of another element type than the buffer's */
export function checkElements({ type, length }: Buffer, data: HostArray): void {
  if (data instanceof ARRAYS[type]) return;
  throw new DeviceError(`write: ${show(data)} to a buffer of ${length} × ${type}: must be a ${ARRAYS[type].name}`);
}

/**
 * @throws ShapeError for an unknown type, or a length that is no whole number; DeviceError for f16 where there is none
 */
export function checkAllocation(type: ElementType, length: number, hasHalf = false): void {
  if (!Object.hasOwn(ARRAYS, type))
    throw new ShapeError(`allocate: the type is ${show(type)}, must be f32, u32, u8 or f16`);
  requireWhole("allocate", { length }, 0);
  if (type === "f16" && !hasHalf) {
    throw new DeviceError("allocate: this device has no half precision: it needs a GPU with shader-f16");
  }
}

export function view(buffer: Buffer, offset: number, length: number): BufferView {
  return { buffer, offset, length };
}

/** A buffer as a view of all of it. */
export function asView(buffer: Buffer | BufferView): BufferView {
  return "buffer" in buffer ? buffer : { buffer, offset: 0, length: buffer.length };
}

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = { f32: 4, u32: 4, u8: 1, f16: 2 };
