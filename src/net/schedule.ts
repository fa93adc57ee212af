/** The learning rate over the course of a training. */
import type { Phase, Schedule } from "./recipe.ts";

/** A schedule's state between epochs; stored in checkpoints. */
export interface ScheduleState {
  /** The lowest validation error so far; null before the first, since JSON has no Infinity. */
  best: number | null;
  /** Epochs since that error, or since the last drop if it is later. */
  waited: number;
  drops: number;
}

export const freshSchedule = (): ScheduleState => ({ best: null, waited: 0, drops: 0 });

/**
 * The learning rate of a layer.
 * @param progress epochs since the start, with fractions
 * @param epochs the length of the whole run
 */
export function rateAt(schedule: Schedule, state: ScheduleState, progress: number, epochs: number, layer = ""): number {
  switch (schedule.kind) {
    case "constant":
      return schedule.rate;
    case "cosine":
      return (schedule.rate / 2) * (1 + Math.cos(Math.PI * Math.min(1, progress / epochs)));
    case "triangular": {
      const { rate, start, peak, end } = schedule;
      const done = Math.min(1, progress / epochs);
      return rate * (done < peak ? start + (1 - start) * (done / peak) : end + (1 - end) * ((1 - done) / (1 - peak)));
    }
    case "plateau":
      return schedule.rate / 10 ** state.drops;
    case "phases": {
      const { rate, rates } = phaseAt(schedule.phases, progress);
      return rates?.[layer] ?? rate;
    }
  }
}

/** Whether colour noise is added at this point. */
export function colourAt(schedule: Schedule, progress: number): boolean {
  return schedule.kind !== "phases" || phaseAt(schedule.phases, progress).colour !== false;
}

/** The state after an epoch with this validation error. */
export function afterEpoch(schedule: Schedule, state: ScheduleState, error: number): ScheduleState {
  if (state.best === null || error < state.best) return { ...state, best: error, waited: 0 };
  const waited = state.waited + 1;
  const drops = schedule.kind === "plateau" && waited >= schedule.patience && state.drops < schedule.drops;
  return drops ? { ...state, waited: 0, drops: state.drops + 1 } : { ...state, waited };
}

function phaseAt(phases: readonly Phase[], progress: number): Phase {
  return phases.findLast(({ from }) => from <= progress) ?? phases[0]!;
}
