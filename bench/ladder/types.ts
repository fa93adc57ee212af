/** The rungs of the CPU's ladder: different ways to compute a matrix product. */

export interface CpuRung {
  /** cpu_1_typescript and so on, slowest first. */
  readonly name: string;
  /** For people: what is new in this rung, in a few words. */
  readonly about: string;
  /**
   * Sets up a module, workers or a library.
   * @param threads number of threads, for rungs that use several
   * @throws DeviceError if this machine lacks something, such as a BLAS; the rung is then skipped
   */
  open(threads: number): Promise<CpuProduct>;
}

/** c = a · b, all row-major: a is m × k, b is k × n, c is m × n. */
export interface CpuProduct {
  /** Loads the operands. Not timed. @throws DeviceError when there is not enough memory */
  load(a: Float32Array, b: Float32Array, m: number, n: number, k: number): void;
  /** Computes the product of the loaded operands, including any packing. Timed. */
  multiply(): Promise<void>;
  /** A copy of c. Not timed. */
  result(): Promise<Float32Array>;
  close(): Promise<void>;
}
