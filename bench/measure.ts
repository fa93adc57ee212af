/** Measures times. Contestants take turns in one process, so that other load on the machine affects all alike. */

/** Does the work `repeats` times and returns how long each took, in ms. */
export type Run = (repeats: number) => Promise<readonly number[]>;

export interface Budget {
  /** Target time per contestant. */
  readonly rowMs: number;
  /** Minimum and maximum number of samples. */
  readonly least: number;
  readonly most: number;
}

/** Shorter work is repeated within a turn: each turn costs a round trip to the device. */
const TURN_MS = 20;

export interface Warm {
  readonly run: Run;
  /** How long the work took before. */
  readonly ms: number;
}

/** Measures warmed-up contestants in turns. @returns the samples of each, in ms */
export async function alternate(warm: readonly Warm[], { rowMs, least, most }: Budget): Promise<number[][]> {
  const contestants = warm.map(({ run, ms }) => {
    const repeats = Math.max(1, Math.min(most, Math.floor(TURN_MS / ms)));
    return { run, repeats, samples: [] as number[], spentMs: 0 };
  });
  const isDone = ({ samples, spentMs }: (typeof contestants)[number]) =>
    samples.length >= most || (samples.length >= least && spentMs >= rowMs);
  while (!contestants.every(isDone)) {
    for (const contestant of contestants.filter((other) => !isDone(other))) {
      const { run, samples, repeats } = contestant;
      const start = performance.now();
      samples.push(...(await run(Math.min(repeats, most - samples.length))));
      contestant.spentMs += performance.now() - start;
    }
  }
  return contestants.map(({ samples }) => samples);
}

/** Times `work` by the wall clock. It must resolve only when its result is ready. */
export function wallClock(work: () => Promise<unknown>): Run {
  return async (repeats) => {
    const samples: number[] = [];
    for (let i = 0; i < repeats; i++) {
      const start = performance.now();
      await work();
      samples.push(performance.now() - start);
    }
    return samples;
  };
}
