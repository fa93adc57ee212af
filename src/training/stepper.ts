/**
 * How a training takes its steps, and what else it does together with other processes. On one device that is the local
 * stepper; src/ranks/steppers.ts has those of several processes, all of which call the same methods in the same order.
 */
import type { Dataset } from "../data/dataset.ts";
import type { Share } from "../data/share.ts";
import type { Tensor } from "../engine/tensor.ts";
import { answerAll, type AnswerOptions } from "../inference/answer_all.ts";
import type { Answers } from "../inference/answers.ts";
import type { Member } from "../inference/member.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import type { LossLabels } from "../net/passes.ts";
import { unlessStopped } from "../signals.ts";
import { accumulatedStep } from "./later/accumulate.ts";
import { trainingStep, type Step, type StepResult } from "./step.ts";

/** A model, and what trains it. */
export interface Learner {
  readonly model: Model;
  readonly optimizer: Optimizer;
}

/** A step as one process sees it: its own images and labels, and what is known of the whole batch. */
export interface BatchStep extends Step {
  /** The mean image, S × S × 3. */
  readonly mean: Tensor;
  readonly whole: LossLabels;
}

/** What a process would do between two steps. */
export interface Wishes {
  readonly stop: boolean;
  readonly save: boolean;
}

export interface Stepper {
  /** Whether this process writes the run's files and reports errors; exactly one process does. */
  readonly leads: boolean;
  /** The images of each batch that this process gets. */
  readonly share: Share;
  /** How many steps may be unfinished when the next one is started. */
  readonly ahead: number;
  /** Bytes of numbers that this process has sent to others. */
  readonly sentBytes: number;
  /** Copies the parameters and optimizer state of the leading process to all. Called before the first step. */
  begin(): Promise<void>;
  /**
   * Forward, backward, update. With `ahead` above 0 all of the device's work is queued when this returns. Resolves with
   * the result of the whole batch.
   */
  step(step: BatchStep, wishes: Wishes): Promise<StepResult>;
  /** What to do now: what the processes agreed on in the last step; for a process alone, what it wishes. */
  agreed(own: Wishes): Wishes;
  /** Assembles model and optimizer where each process trains a part. Called before they are evaluated or saved. */
  gather(): Promise<void>;
  /** Makes parameters that differ between processes the same again. @returns whether any did */
  realign(): Promise<boolean>;
  /** Evaluates models on every image of a set; undefined when a process was stopped. @throws as `answerAll` */
  answer(members: readonly Member[], dataset: Dataset, options: AnswerOptions): Promise<Answers | undefined>;
}

/**
 * Steps on one device: the next is queued while it works on the last.
 * @param batch images a step
 * @param parts how many parts they go through the network in
 */
export function localStepper({ model, optimizer }: Learner, batch: number, parts = 1): Stepper {
  return {
    leads: true,
    share: { first: 0, count: batch },
    ahead: 1,
    sentBytes: 0,
    async begin() {},
    step(step) {
      const { mean } = step;
      const result =
        parts === 1 ? trainingStep(model, optimizer, mean, step) : accumulatedStep(model, optimizer, mean, step, parts);
      // If the step before it fails, this one is never awaited, and its own failure is no news.
      result.catch(() => {});
      return result;
    },
    agreed: (own) => own,
    async gather() {},
    realign: async () => false,
    async answer(members, dataset, options) {
      const batch = Math.min(options.batch, dataset.length);
      return (await unlessStopped(options.signal, answerAll(members, dataset, { ...options, batch })))?.answers;
    },
  };
}
