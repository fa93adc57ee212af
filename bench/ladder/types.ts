/** What the rungs of the CPU's ladder are: products of matrices, each computed in its own way. */

export interface CpuRung {
  /** cpu_1_typescript and so on, slowest first. */
  readonly name: string;
  /** For people: what it adds to the rung before, in a few words. */
  readonly about: string;
  /**
   * Starts what it needs: a module, workers, a library.
   * @param threads how many to use, for rungs that use several
   * @throws DeviceError where this machine lacks something, such as a BLAS: the rung is then skipped by name
   */
  open(threads: number): Promise<CpuProduct>;
}

/** c = a · b, all row-major: a is m × k, b is k × n, c is m × n. */
export interface CpuProduct {
  /** Brings the operands to where the rung wants them. Not timed. @throws DeviceError when there is no memory for them */
  load(a: Float32Array, b: Float32Array, m: number, n: number, k: number): void;
  /** Computes the product of what was loaded last: all of it, from the operands as they lie in memory. Timed. */
  multiply(): Promise<void>;
  /** A copy of c. Not timed. */
  result(): Promise<Float32Array>;
  close(): Promise<void>;
}
