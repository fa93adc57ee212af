/**
 * A kernel: a function from buffers to buffers that every backend can run. It is declared once, in the file of the op
 * that uses it, as WGSL, the layout of its arguments, and a plain loop (`reference`) that specifies it.
 */
import { UsageError } from "../errors.ts";

/**
 * A kernel's access to a buffer ("update" reads and writes), and its element type, f32 by default. Kernels for f16 are
 * made of those for f32: later/half.ts.
 */
export type BufferSpec = Access | `${Access} u32` | `${Access} u8` | `${Access} f16`;
export type Access = "read" | "write" | "update";
export type ElementType = "f32" | "u32" | "u8" | "f16";

/**
 * Elements as a reference loop sees them: a Float32Array (Float64Array in gradient checks), Float16Array, Uint32Array or
 * Uint8Array.
 */
export interface Elements {
  [index: number]: number;
  readonly length: number;
}

/** Number of workgroups in x, y and z. */
export type Workgroups = readonly [x: number, y: number, z: number];

/**
 * What replaces the values of WGSL constants and the types of aliases, by name: `{ ROWS: 48 }` turns
 * `const ROWS = 128u;` into `const ROWS = 48u;`, and `{ Value: "vec4f" }` turns `alias Value = f32;` into
 * `alias Value = vec4f;`. The WGSL is valid as it stands.
 */
export type Constants = Readonly<Record<string, number | string>>;

export interface Kernel<B extends string = string, U extends string = string> {
  /**
   * The name of its file in kernels/wgsl, unless it shares that with others that differ in `constants`; and of the CPU
   * kernel that computes the same.
   */
  readonly name: string;
  /**
   * `import.meta.url` of the op's file: where a CPU worker finds `reference` if it has nothing faster. Every worker
   * runs that file, so it must not be the program's main module, nor open a device.
   */
  readonly module: string;
  readonly wgsl: string;
  readonly constants?: Constants;
  /** In the order of the bindings 1, 2, …; binding 0 holds the uniforms. u8 buffers are `array<u32>` in WGSL. */
  readonly buffers: Readonly<Record<B, BufferSpec>>;
  /** In the order of the fields of WGSL's `struct Uniforms`, each 4 bytes. */
  readonly uniforms: Readonly<Record<U, "u32" | "f32">>;
  workgroups(uniforms: Readonly<Record<U, number>>): Workgroups;
  /** Alternative WGSL: a device uses whichever is fastest. Same buffers, uniforms and order of summation. */
  readonly variants?: readonly Variant<NoInfer<U>>[];
  /** The specification. f32 buffers may be Float64Arrays. */
  reference(buffers: Readonly<Record<B, Elements>>, uniforms: Readonly<Record<U, number>>): void;
}

/** Alternative WGSL for a kernel, with the same bindings and uniforms, such as larger tiles for larger GPUs. */
export interface Variant<U extends string = string> {
  /** Unique among all kernels and variants: reports show it, and the tuner's measurements are kept under it. */
  readonly name: string;
  /** The contents of a file in kernels/wgsl, which variants that differ only in `constants` share. */
  readonly wgsl: string;
  readonly constants?: Constants;
  /** Whether it supports these sizes, such as those whose rows are whole vec4s; all by default. */
  fits?(uniforms: Readonly<Record<U, number>>): boolean;
  workgroups(uniforms: Readonly<Record<U, number>>): Workgroups;
}

/** Declares a kernel. Its type is inferred, so that a call with a missing buffer does not compile. */
export function kernel<B extends string, U extends string>(declaration: Kernel<B, U>): Kernel<B, U> {
  return declaration;
}

/**
 * The WGSL of a kernel or variant, with its constants replaced.
 * @throws UsageError unless the WGSL declares each once, constants as numbers
 */
export function wgslOf({ name, wgsl, constants = {} }: Pick<Variant, "name" | "wgsl" | "constants">): string {
  return Object.entries(constants).reduce((text, [constant, value]) => {
    const [kind, what, old] =
      typeof value === "number" ? ["const", "NUMBER", "[\\d.]+([iuf]?)"] : ["alias", "TYPE", "\\w+()"];
    const declaration = new RegExp(`\\b${kind} ${constant} = ${old};`, "g");
    const count = text.match(declaration)?.length ?? 0;
    if (count !== 1) {
      throw new UsageError(
        `kernel ${name}: ${kind === "const" ? "constant" : kind} ${constant} is ${value}, but its WGSL declares ` +
          `${count} of that name: it needs one line "${kind} ${constant} = ${what};"`,
      );
    }
    return text.replace(declaration, `${kind} ${constant} = ${value}$1;`);
  }, wgsl);
}

/** WebGPU's default limit on workgroups per dimension, which every adapter supports. */
const MAX_WORKGROUPS = 65_535;

/**
 * Workgroups of `size` threads for a row of `total` threads, folded into several rows (y) if it is too long for x. A
 * kernel's thread index is `id.x + id.y * groups.x * SIZE` (`groups`: builtin num_workgroups).
 */
export function line(total: number, size = 64): Workgroups {
  const groups = Math.max(1, Math.ceil(total / size));
  const y = Math.ceil(groups / MAX_WORKGROUPS);
  return [Math.ceil(groups / y), y, 1];
}

/** The types of four numbers, of their bits, and of conditions on them, in WGSL that also looks at bits. */
export const FOUR_BITS: Constants = { Bits: "vec4u", Flags: "vec4<bool>" };

/**
 * A variant for large GPUs of a kernel with one thread for each of `size` numbers, which keeps too few bytes on their way:
 * 256 threads that compute four each, by the same WGSL with other types.
 * @param constants more that are replaced, beside those of every such kernel
 */
export function fourEach(kernel: string, wgsl: string, constants: Constants = {}): Variant<"size"> {
  return {
    ...{ name: `${kernel}_vec4`, wgsl, constants: { LANES: 4, THREADS: 256, Value: "vec4f", ...constants } },
    fits: ({ size }) => size % 4 === 0,
    workgroups: ({ size }) => line(size / 4, 256),
  };
}

/** Uniforms of type u32, in this order. */
export function u32s<U extends string>(...names: readonly U[]): Readonly<Record<U, "u32">> {
  return Object.fromEntries(names.map((name) => [name, "u32"])) as Record<U, "u32">;
}

export function elementType(spec: BufferSpec): ElementType {
  return (spec.split(" ")[1] ?? "f32") as ElementType;
}

export function access(spec: BufferSpec): Access {
  return spec.split(" ")[0] as Access;
}
