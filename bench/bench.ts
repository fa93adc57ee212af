/** One run of the benchmark: pieces of work, the contestants that do each, and the results. */
import { AlexNetError } from "../src/errors.ts";
import { WrongResult } from "./check.ts";
import type { BenchDevice } from "./devices.ts";
import { alternate, type Budget, type Run } from "./measure.ts";
import { milliseconds } from "./units.ts";
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
  /** Why it is not tried, such as a size beyond the device's limits. */
  readonly unfit?: string | undefined;
  /** Uploads the operands. @throws AlexNetError when that fails: the entrant is then skipped */
  open(): Promise<Opened>;
  /** Smaller versions of the work, one or two, to estimate how long all of it will take. */
  readonly trials?: readonly Trial[];
}

interface Trial {
  readonly work: Work;
  open(): Promise<Opened>;
}

export interface Opened {
  readonly run: Run;
  /** Computes the result again and checks it. @returns how it was checked @throws WrongResult */
  check(): Promise<string>;
  /** Called after the measurements, if only they can show that the work was done. @throws WrongResult */
  confirm?(): Promise<void>;
  close(): Promise<void>;
  /** The kernels that ran, after a run. */
  kernels?(): readonly string[];
}

export interface Limits extends Budget {
  /** Work expected to take longer than this is skipped. With Infinity, nothing is tried beforehand. */
  readonly passMs: number;
  /** Whether the time is used up: what has not begun is then skipped. */
  readonly isOver?: () => boolean;
}

export interface Listener {
  /** Called when a piece begins. */
  working(piece: string): void;
  row(row: Row): void;
  skipped(skipped: Skipped): void;
}

/** The share of the roof assumed for a kernel with no earlier rate and no trials. */
const UNKNOWN_SHARE = { flop: 0.02, byte: 0.1 };

export class Bench {
  readonly devices: readonly BenchDevice[];
  readonly limits: Limits;
  readonly rows: Row[] = [];
  readonly skipped: Skipped[] = [];
  /** Contestants with wrong results. */
  readonly wrong: Skipped[] = [];
  readonly #listener: Listener;
  /** The last rate of each contestant on a device, in units of work per second. Sizes grow, and rates fall with them. */
  readonly #rates = new Map<string, number>();

  constructor(devices: readonly BenchDevice[], limits: Limits, listener: Listener) {
    this.devices = devices;
    this.limits = limits;
    this.#listener = listener;
  }

  /** Opens and checks the contestants for a piece of work, and measures them in turns. Those that fail are skipped. */
  async contest(piece: Piece): Promise<void> {
    this.working(piece);
    const ready: Ready[] = [];
    try {
      for (const entrant of piece.entrants) {
        const reason = this.#over() ?? entrant.unfit ?? (await this.#tooLong(piece, entrant));
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
          this.skip(piece, entrant, "takes less time than the device's clock can resolve");
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

  /** Opens, checks and warms up; undefined if skipped. */
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

  /** A wrong result gets no time. */
  refuse(piece: Named, who: Who, { message }: WrongResult): void {
    this.skip(piece, who, `WRONG: ${message}`);
    this.wrong.push(this.skipped.at(-1)!);
  }

  #over(): string | undefined {
    return this.limits.isOver?.() ? "no time was left" : undefined;
  }

  /** Why the work would take too long, estimated from this contestant's earlier rate or from trials. */
  async #tooLong(piece: Piece, entrant: Entrant): Promise<string | undefined> {
    if (this.limits.passMs === Infinity) return undefined;
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

  /** Why work that takes `ms` is skipped; undefined if it isn't. */
  overLong(ms: number): string | undefined {
    if (ms <= this.limits.passMs) return undefined;
    const whose = this.limits.isOver ? "that there is for it" : "of --longest";
    return `takes about ${milliseconds(ms)}, more than the ${this.limits.passMs / 1000} s ${whose}`;
  }
}

type Named = Pick<Piece, "suite" | "name">;
type Who = Pick<Entrant, "contestant" | "device">;

/** A contestant ready to be measured: its result was right. */
interface Ready {
  readonly entrant: Entrant;
  readonly opened: Opened;
  readonly check: string;
  /** How long the work takes. */
  readonly ms: number;
}

/** Kernels are assumed to keep their rate whatever they compute; networks differ too much for that. */
function keyOf({ name, work }: Piece, { contestant, device }: Who): string {
  return `${contestant} ${device.device} ${work.unit === "image" ? name : work.unit}`;
}

interface Tried {
  readonly amount: number;
  readonly ms: number;
}

/** The time of the second run; 0 if it fails, since the work itself will then say why. */
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

/** Proportional to one trial, or on the line through two, to account for constant overhead. */
export function extrapolate([first, second]: readonly Tried[], amount: number): number {
  if (!second) return (first!.ms * amount) / first!.amount;
  const slope = Math.max(0, (second.ms - first!.ms) / (second.amount - first!.amount));
  return second.ms + slope * (amount - second.amount);
}
