/** Taking times: contestants take turns in one process, so that whatever else the machine does hits them alike. */

/** Does the work so many times and says how long each took, in ms. */
export type Run = (repeats: number) => Promise<readonly number[]>;

export interface Budget {
  /** Each contestant is measured for about so long … */
  readonly rowMs: number;
  /** … but at least and at most so many times. */
  readonly least: number;
  readonly most: number;
}

/** Work shorter than this is repeated within a turn: each turn costs a round trip to the device. */
const TURN_MS = 20;

export interface Warm {
  readonly run: Run;
  /** How long the work takes, measured once before. */
  readonly ms: number;
}

/** Measures every contestant, all of them already warm, turn after turn. @returns the samples of each */
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

/** `work` by the wall clock; it must resolve only when its result is there. */
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
