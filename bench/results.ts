/** The results of a benchmark run, as this harness and bench/peers measure them. */

/** To be changed when older readers would misunderstand newer files. */
export const FORMAT = 1;

export interface Results {
  readonly format: typeof FORMAT;
  readonly machine: Machine;
  /** Each device once. */
  readonly devices: readonly Device[];
  readonly rows: readonly Row[];
  /** What was requested but not timed. */
  readonly skipped: readonly Skipped[];
}

export interface Machine {
  /** Logical cores and the processor's name: "2 × AMD EPYC". */
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** "linux x64, 6.1.0". */
  readonly os: string;
  readonly bun: string;
  /** Of this repository; "" if there is none. */
  readonly commit: string;
  /** Whether files differed from that commit. */
  readonly dirty: boolean;
  /** ISO 8601, UTC, to the second. */
  readonly date: string;
  /** Variables of the environment by which OpenBLAS chooses its kernels: "OPENBLAS_CORETYPE=Haswell", "" for none. */
  readonly openblas?: string;
}

export interface Device {
  /** As given to --device: "cpu:wasm", "cpu:blas", "gpu:0". */
  readonly device: string;
  /** For people: threads and BLAS, or adapter and driver. */
  readonly description: string;
  /** GPUs only. */
  readonly adapter?: string;
  readonly driver?: string;
  readonly roof?: Roof;
}

/** The peak rates that this device reached in this run on purpose-made kernels. */
export interface Roof {
  readonly flopsPerSecond: number;
  /** Bytes read and bytes written, both counted. */
  readonly bytesPerSecond: number;
  /** How `flopsPerSecond` was measured. */
  readonly how: string;
}

/** One contestant at one piece of work. Suite, name, contestant and device together are unique in a document. */
export interface Row {
  /** "matmul", "step", … */
  readonly suite: string;
  /** The piece of work, identical for all its contestants: "conv2 forward, batch 128", "alexnet training, batch 128". */
  readonly name: string;
  /** A kernel, a rung, "alexnet.ts", or a peer with its version, such as "PyTorch 2.15.0". */
  readonly contestant: string;
  /** A `Device.device`. */
  readonly device: string;
  readonly work: Work;
  readonly ms: Times;
  /** The device's own clock (timestamps, a worker's clock), or the wall clock around a call that waits for the result. */
  readonly clock: "device" | "wall";
  /** Share of the roof that the best time reaches; absent if the work is neither arithmetic nor memory traffic. */
  readonly ofRoof?: number;
  /** How the timed result was checked, in a few words. */
  readonly check: string;
  /** The kernels that ran, in order, by the name of the kernel or of the variant chosen by the device. */
  readonly kernels?: readonly string[];
  /** For a part of a step: its share of the whole step's time. */
  readonly share?: number;
}

/** The amount of work of one measurement. */
export interface Work {
  /** flop: a multiply-add counts 2. byte: read plus written. */
  readonly unit: "flop" | "byte" | "image";
  readonly amount: number;
}

/** All measurements of a row in ms, without the warm-up. */
export interface Times {
  readonly best: number;
  readonly median: number;
  readonly count: number;
  /** In the order taken; a file keeps at most KEPT of them, evenly spaced. */
  readonly samples: readonly number[];
}

export interface Skipped {
  readonly suite: string;
  readonly name: string;
  readonly contestant: string;
  readonly device: string;
  readonly reason: string;
}

/** @throws RangeError when there are no samples */
export function times(samples: readonly number[]): Times {
  if (samples.length === 0) throw new RangeError("no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { best: sorted[0]!, median, count: samples.length, samples };
}

/** Work per second, if each takes `ms`. */
export function rate({ amount }: Work, ms: number): number {
  return (1000 * amount) / ms;
}

/** Whether a row of bench/peers is this project's. */
export function isOurs({ contestant }: Row): boolean {
  return contestant.startsWith("alexnet.ts");
}
