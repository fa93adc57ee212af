/** Queues kernels, with their uniforms, into a compute pass until they are submitted together. */
import type { Workgroups } from "../../engine/kernel.ts";
import { checkWorkgroups, Uniforms } from "./arguments.ts";
import type { Limits } from "./description.ts";
import type { Handles } from "./handles.ts";
import { Pacing } from "./pacing.ts";
import type { Pipeline, Program } from "./pipelines.ts";

/** Maximum number of bytes written between submissions. */
export const WRITTEN_BYTES = 1 << 26;

/** Times kernels, each in its own compute pass. */
export interface PassTimer<Timestamps> {
  /**
   * Called before each kernel. @returns where its pass is to write the device's clock, if anywhere @throws DeviceError
   * when the device failed
   */
  before(kernel: string): Timestamps;
  /** Called when the kernel's pass is closed. @throws DeviceError when the device failed */
  after(): void;
}

export abstract class KernelQueue<H extends Handles, T extends PassTimer<unknown>> {
  /** While set, times each kernel that is added. */
  timer: T | undefined;
  protected readonly uniforms: Uniforms;
  /** Where the uniforms of the kernel that is being added lie. */
  protected readonly dynamicOffset = new Uint32Array(1);
  protected readonly pacing: Pacing;
  readonly #device: { readonly name: string; readonly limits: Limits };

  /** @param now the host's current time, in ms */
  constructor(device: { readonly name: string; readonly limits: Limits }, now = () => performance.now()) {
    this.#device = device;
    this.uniforms = new Uniforms(device.limits.uniformAlignment);
    this.pacing = new Pacing(now);
  }

  /** Submits queued work. @throws DeviceError when a kernel's arguments are invalid */
  abstract flush(): void;
  /** Copies bytes to a buffer, after everything queued so far. `bytes` must be a multiple of 4. */
  abstract write(target: H["buffer"], offset: number, data: ArrayBufferView, bytes: number): void;
  /** Adds a kernel to the pass, which is opened if it isn't. */
  protected abstract encode(pipeline: H["pipeline"], group: H["group"], workgroups: Workgroups): void;
  protected abstract openTimedPass(timer: T, kernel: string): void;
  protected abstract closePass(): void;

  /** Adds a kernel, and may submit it at once. */
  dispatch(
    program: Program<H>,
    { handle, name, workgroups }: Pipeline<H>,
    group: H["group"],
    uniforms: Readonly<Record<string, number>>,
  ): void {
    if (!this.uniforms.hasRoomFor(program)) this.flush();
    this.dynamicOffset[0] = this.uniforms.put(program, uniforms);
    const count = workgroups(uniforms);
    if (!checkWorkgroups(name, count, this.#device.limits.workgroupsPerDimension, this.#device.name)) return;
    this.uniforms.keep(program);

    if (this.timer) {
      this.closePass();
      this.openTimedPass(this.timer, name);
    }
    this.encode(handle, group, count);
    if (this.timer) {
      this.closePass();
      this.timer.after();
    }
    if (this.pacing.add()) this.flush();
  }

  /** Number of kernels submitted so far. */
  get submitted(): number {
    return this.pacing.submitted;
  }

  /** Called when the device has done the first `kernels` of those submitted. If it is idle, the next go to it soon. */
  finished(kernels: number): void {
    this.pacing.finished(kernels);
  }
}
