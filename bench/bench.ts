/** One run of the benchmark: pieces of work, for each the contestants that do it, and what came of it. */
import { AlexNetError } from "../src/errors.ts";
import { WrongResult } from "./check.ts";
import type { BenchDevice } from "./devices.ts";
import { alternate, type Budget, type Run } from "./measure.ts";
import { milliseconds } from "./report.ts";
import { rate, times, type Row, type Skipped, type Work } from "./results.ts";

/** A piece of work that several contestants do. */
export interface Piece {
  readonly suite: string;
  readonly name: string;
  readonly work: Work;
  readonly entrants: readonly Entrant[];
}

export interface Entrant {
  readonly contestant: string;
  readonly device: BenchDevice;
  readonly clock: Row["clock"];
  /** Why it is not even tried, such as a size over the device's limits. */
  readonly unfit?: string | undefined;
  /** Brings the operands to the device. @throws AlexNetError when that can't be done: then it is skipped */
  open(): Promise<Opened>;
  /** The same on less work, once or twice, which tells how long all of it will take. */
  readonly trials?: readonly Trial[];
}

interface Trial {
  readonly work: Work;
  open(): Promise<Opened>;
}

export interface Opened {
  readonly run: Run;
  /** Computes the result once more and compares it; says how. @throws WrongResult */
  check(): Promise<string>;
  /** Called after the measurements, where only they show whether the work was done. @throws WrongResult */
  confirm?(): Promise<void>;
  close(): Promise<void>;
  /** Which kernels ran, once something did. */
  kernels?(): readonly string[];
}

export interface Limits extends Budget {
  /** Work expected to take longer than this is skipped. */
  readonly passMs: number;
}

/** Told of what goes on. */
export interface Listener {
  /** A piece begins. */
  working(piece: string): void;
  row(row: Row): void;
  skipped(skipped: Skipped): void;
}

/** The share of the roof that is expected of a kernel of which nothing is known, and that can't be tried on less. */
const UNKNOWN_SHARE = { flop: 0.02, byte: 0.1 };

export class Bench {
  readonly devices: readonly BenchDevice[];
  readonly limits: Limits;
  readonly rows: Row[] = [];
  readonly skipped: Skipped[] = [];
  /** What was computed wrongly. */
  readonly wrong: Skipped[] = [];
  readonly #listener: Listener;
  /** The last rate of a contestant on a device, in its unit of work a second; sizes grow, and rates fall with them. */
  readonly #rates = new Map<string, number>();

  constructor(devices: readonly BenchDevice[], limits: Limits, listener: Listener) {
    this.devices = devices;
    this.limits = limits;
    this.#listener = listener;
  }

  /** Opens, checks and measures the contestants at a piece of work, turn by turn. Those that can't are skipped by name. */
  async contest(piece: Piece): Promise<void> {
    this.working(piece);
    const ready: Ready[] = [];
    try {
      for (const entrant of piece.entrants) {
        const reason = entrant.unfit ?? (await this.#tooLong(piece, entrant));
        if (reason !== undefined) this.skip(piece, entrant, reason);
        else {
          const one = await this.#prepare(piece, entrant);
          if (one) ready.push(one);
        }
      }
      const samples = await alternate(
        ready.map(({ opened, ms }) => ({ run: opened.run, ms })),
        this.limits,
      );
      for (const [i, { entrant, opened, check }] of ready.entries()) {
        if (!(await this.#confirm(piece, entrant, opened))) continue;
        const { suite, name, work } = piece;
        const { contestant, device, clock } = entrant;
        const ms = times(samples[i]!);
        if (ms.best <= 0) {
          this.skip(piece, entrant, "takes less time than the device's clock can tell");
          continue;
        }
        const roof = { flop: device.roof.flopsPerSecond, byte: device.roof.bytesPerSecond, image: undefined }[
          work.unit
        ];
        const kernels = opened.kernels?.() ?? [];
        this.add({
          ...{ suite, name, contestant, device: device.device, work, ms, clock, check },
          ...(roof && { ofRoof: rate(work, ms.best) / roof }),
          ...(kernels.length > 0 && { kernels }),
        });
        this.#rates.set(keyOf(piece, entrant), rate(work, ms.best));
      }
    } finally {
      for (const { opened } of ready) await opened.close();
    }
  }

  working({ suite, name }: Named): void {
    this.#listener.working(`${suite}: ${name}`);
  }

  add(row: Row): void {
    this.rows.push(row);
    this.#listener.row(row);
  }

  skip({ suite, name }: Named, { contestant, device }: Who, reason: string): void {
    const skipped = { suite, name, contestant, device: device.device, reason };
    this.skipped.push(skipped);
    this.#listener.skipped(skipped);
  }

  /** Opens, checks and warms up; undefined when it is skipped. */
  async #prepare(piece: Piece, entrant: Entrant): Promise<Ready | undefined> {
    let opened: Opened | undefined;
    let isReady = false;
    try {
      opened = await entrant.open();
      const check = await opened.check();
      const ms = Math.min(...(await opened.run(1)));
      const reason = this.overLong(ms);
      if (reason !== undefined) {
        this.skip(piece, entrant, reason);
        return undefined;
      }
      isReady = true;
      return { entrant, opened, check, ms };
    } catch (error) {
      if (error instanceof WrongResult) this.refuse(piece, entrant, error);
      else if (error instanceof AlexNetError) this.skip(piece, entrant, error.message);
      else throw error;
      return undefined;
    } finally {
      if (!isReady) await opened?.close();
    }
  }

  async #confirm(piece: Piece, entrant: Entrant, opened: Opened): Promise<boolean> {
    try {
      await opened.confirm?.();
      return true;
    } catch (error) {
      if (!(error instanceof WrongResult)) throw error;
      this.refuse(piece, entrant, error);
      return false;
    }
  }

  /** What was computed wrongly has no time. */
  refuse(piece: Named, who: Who, { message }: WrongResult): void {
    this.skip(piece, who, `WRONG: ${message}`);
    this.wrong.push(this.skipped.at(-1)!);
  }

  /** Why the work would take too long, judged by what this contestant reached before, or by trials. */
  async #tooLong(piece: Piece, entrant: Entrant): Promise<string | undefined> {
    const { work } = piece;
    const known = this.#rates.get(keyOf(piece, entrant));
    if (known !== undefined) return this.overLong((1000 * work.amount) / known);
    if (entrant.trials && entrant.trials.length > 0) {
      const tried: Tried[] = [];
      for (const trial of entrant.trials) tried.push({ amount: trial.work.amount, ms: await tryOut(trial) });
      return this.overLong(extrapolate(tried, work.amount));
    }
    if (work.unit === "image") return undefined;
    const { flopsPerSecond, bytesPerSecond } = entrant.device.roof;
    const roof = work.unit === "byte" ? bytesPerSecond : flopsPerSecond;
    return this.overLong((1000 * work.amount) / (UNKNOWN_SHARE[work.unit] * roof));
  }

  /** Why work of so many ms is not done; undefined when it is. */
  overLong(ms: number): string | undefined {
    if (ms <= this.limits.passMs) return undefined;
    return `takes some ${milliseconds(ms)}, over the ${this.limits.passMs / 1000} s that --longest allows`;
  }
}

type Named = Pick<Piece, "suite" | "name">;
type Who = Pick<Entrant, "contestant" | "device">;

/** A contestant that can be measured: its result was right. */
interface Ready {
  readonly entrant: Entrant;
  readonly opened: Opened;
  readonly check: string;
  /** How long the work takes. */
  readonly ms: number;
}

/** Kernels are expected to go on as fast as they went, whatever they compute; networks differ too much for that. */
function keyOf({ name, work }: Piece, { contestant, device }: Who): string {
  return `${contestant} ${device.device} ${work.unit === "image" ? name : work.unit}`;
}

interface Tried {
  readonly amount: number;
  readonly ms: number;
}

/** The second time, or no time where it fails: then the work itself will say why. */
async function tryOut({ open }: Trial): Promise<number> {
  let opened: Opened | undefined;
  try {
    opened = await open();
    await opened.run(1);
    return Math.min(...(await opened.run(1)));
  } catch (error) {
    if (error instanceof AlexNetError) return 0;
    throw error;
  } finally {
    await opened?.close();
  }
}

/** In proportion to one trial; along the line through two, where much of the time is the same for any amount. */
export function extrapolate([first, second]: readonly Tried[], amount: number): number {
  if (!second) return (first!.ms * amount) / first!.amount;
  const slope = Math.max(0, (second.ms - first!.ms) / (second.amount - first!.amount));
  return second.ms + slope * (amount - second.amount);
}
