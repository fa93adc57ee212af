/** Kernels on a GPU: the layout of their arguments, and their compiled WGSL, each made once. */
import { access, wgslOf, type Kernel, type Variant, type Workgroups } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";
import type { Handles } from "./handles.ts";

/** Compiled WGSL: a kernel's own or a variant's. */
export interface Pipeline<H extends Handles> {
  readonly handle: H["pipeline"];
  readonly name: string;
  workgroups(uniforms: Readonly<Record<string, number>>): Workgroups;
}

/** A kernel on this device. Its variants share everything but the pipelines. */
export interface Program<H extends Handles> {
  readonly kernel: Kernel;
  readonly layout: Layout<H>;
  /** The names of its buffers and of its uniforms, in order. */
  readonly buffers: readonly string[];
  readonly uniforms: readonly { readonly name: string; readonly isFloat: boolean }[];
  /** Bytes of the uniform buffer that binding 0 spans. */
  readonly uniformBytes: number;
  /** Those of the kernel and its variants that were needed so far. */
  readonly pipelines: Map<Variant, Pipeline<H>>;
  /** The fastest pipeline by shape, for kernels with variants. */
  readonly chosen: Map<string, Pipeline<H>>;
}

/** How arguments are bound; shared by kernels with the same sequence of accesses. */
interface Layout<H extends Handles> {
  readonly handle: H["layout"];
  /** The pipelines of this layout, by their WGSL. */
  readonly compiled: Map<string, H["pipeline"]>;
}

export abstract class KernelPipelines<H extends Handles> {
  readonly #programs = new WeakMap<Kernel, Program<H>>();
  /** WGSL by kernel name. */
  readonly #names = new Map<string, string>();
  readonly #layouts = new Map<string, Layout<H>>();

  /** A layout of the uniforms at binding 0, with a dynamic offset, and of buffers from binding 1. */
  protected abstract createLayout(readOnly: readonly boolean[]): H["layout"];
  protected abstract compile(name: string, wgsl: string, layout: H["layout"]): H["pipeline"];

  /** @throws DeviceError when another kernel has the same name */
  program(kernel: Kernel): Program<H> {
    return this.#programs.get(kernel) ?? this.#addProgram(kernel);
  }

  /** The kernel or one of its variants, compiled. @throws DeviceError with line and column when the WGSL is wrong */
  pipeline(program: Program<H>, form: Variant): Pipeline<H> {
    const known = program.pipelines.get(form);
    if (known) return known;
    const { compiled, handle: layout } = program.layout;
    const wgsl = wgslOf(form);
    const handle = compiled.get(wgsl) ?? this.compile(form.name, wgsl, layout);
    compiled.set(wgsl, handle);
    const pipeline = { handle, name: form.name, workgroups: form.workgroups };
    program.pipelines.set(form, pipeline);
    return pipeline;
  }

  #addProgram(kernel: Kernel): Program<H> {
    const wgsl = wgslOf(kernel);
    if ((this.#names.get(kernel.name) ?? wgsl) !== wgsl) {
      throw new DeviceError(`two different kernels are named ${kernel.name}`);
    }
    const specs = Object.values(kernel.buffers).map(access);
    const uniforms = Object.entries(kernel.uniforms).map(([name, type]) => ({ name, isFloat: type === "f32" }));
    const program = {
      kernel,
      layout: this.#layout(specs.map((spec) => spec === "read")),
      buffers: Object.keys(kernel.buffers),
      uniforms,
      uniformBytes: Math.max(16, Math.ceil(uniforms.length / 4) * 16),
      pipelines: new Map<Variant, Pipeline<H>>(),
      chosen: new Map<string, Pipeline<H>>(),
    };
    this.#programs.set(kernel, program);
    this.#names.set(kernel.name, wgsl);
    return program;
  }

  #layout(readOnly: readonly boolean[]): Layout<H> {
    const key = readOnly.join();
    const known = this.#layouts.get(key);
    if (known) return known;
    const layout = { handle: this.createLayout(readOnly), compiled: new Map<string, H["pipeline"]>() };
    this.#layouts.set(key, layout);
    return layout;
  }

  /** Forgets all layouts. @returns them, for an API whose objects must be released */
  protected takeLayouts(): Layout<H>[] {
    const layouts = [...this.#layouts.values()];
    this.#layouts.clear();
    return layouts;
  }
}

/** A kernel, and those of its variants that can do these sizes. */
export function candidatesOf(kernel: Kernel, uniforms: Readonly<Record<string, number>>): readonly Variant[] {
  return [kernel, ...(kernel.variants ?? []).filter(({ fits }) => !fits || fits(uniforms))];
}

/** The uniforms on which a kernel's time depends: sizes, which are whole numbers. */
export function shapeOf<H extends Handles>(
  { uniforms: specs }: Program<H>,
  uniforms: Readonly<Record<string, number>>,
): string {
  let shape = "";
  for (const { name, isFloat } of specs) if (!isFloat) shape += `${name}=${uniforms[name]} `;
  return shape.trimEnd();
}
