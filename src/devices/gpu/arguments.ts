/** What a kernel is started with, beside its buffers: its uniforms, packed, and its workgroups. */
import type { Workgroups } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";
import { roundUp } from "./buffers.ts";
import type { Handles } from "./handles.ts";
import type { Program } from "./pipelines.ts";

/** Space for one submission's uniforms: 4,096 kernels at the largest possible alignment (256). */
export const UNIFORM_BYTES = 1 << 20;

/** The uniforms of a submission's kernels, one after another, to be copied to the device at once. */
export class Uniforms {
  readonly memory = new ArrayBuffer(UNIFORM_BYTES);
  readonly #view = new DataView(this.memory);
  readonly #alignment: number;
  #used = 0;

  /** @param alignment of each kernel's uniforms, in bytes */
  constructor(alignment: number) {
    this.#alignment = alignment;
  }

  /** In bytes. */
  get used(): number {
    return this.#used;
  }

  clear(): void {
    this.#used = 0;
  }

  hasRoomFor({ uniformBytes }: Program<Handles>): boolean {
    return this.#used + roundUp(uniformBytes, this.#alignment) <= UNIFORM_BYTES;
  }

  /** Writes a kernel's behind the others. @returns their offset in bytes. @throws DeviceError when one is missing */
  put({ kernel, uniforms: specs }: Program<Handles>, uniforms: Readonly<Record<string, number>>): number {
    let at = this.#used;
    for (const { name, isFloat } of specs) {
      const value = uniforms[name];
      if (value === undefined) throw new DeviceError(`kernel ${kernel.name}: uniform ${name} is missing`);
      if (isFloat) this.#view.setFloat32(at, value, true);
      else this.#view.setUint32(at, value, true);
      at += 4;
    }
    return this.#used;
  }

  /** Keeps those just put. */
  keep({ uniformBytes }: Program<Handles>): void {
    this.#used += roundUp(uniformBytes, this.#alignment);
  }
}

/**
 * Whether there is anything to start.
 * @param most workgroups per dimension
 * @throws DeviceError when there are more
 */
export function checkWorkgroups(kernel: string, [x, y, z]: Workgroups, most: number, device: string): boolean {
  if (x === 0 || y === 0 || z === 0) return false;
  if (x <= most && y <= most && z <= most) return true;
  throw new DeviceError(
    `kernel ${kernel}: ${x} × ${y} × ${z} workgroups, but ${device} starts at most ${most} per dimension: use a smaller batch`,
  );
}
