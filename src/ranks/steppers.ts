/** The steppers for several ranks: each has the whole network, or a part of it. */
import type { Share } from "../data/share.ts";
import { UsageError } from "../errors.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { findOptimizer } from "../net/optimizers.ts";
import type { Cut } from "../net/parts.ts";
import { option, setting } from "../option_names.ts";
import { localStepper, type Learner, type Stepper, type Wishes } from "../training/stepper.ts";
import { areAlike, makeAlike, shareOfBatch } from "./agreement.ts";
import { answerTogether } from "./answer_together.ts";
import type { Ranks } from "./ranks.ts";
import { sharedStep } from "./shared_step.ts";
import { shareOfCut, SplitModel } from "./split.ts";

/** The images of a batch that a rank gets. @throws UsageError when the ranks can't share it that way */
export function shareFor(cut: Cut | null, batch: number, ranks: Ranks): Share {
  return cut === null ? shareOfBatch(batch, ranks) : shareOfCut(cut, batch, ranks);
}

export interface StepperOptions {
  /** Images a step, of all ranks together. */
  readonly batch: number;
  /** How many parts they go through the network in. */
  readonly parts: number;
  /** How the network is split; null if each rank has all of it. */
  readonly split: Cut | null;
  /** The layers that don't learn. */
  readonly freeze: readonly string[];
  /** By its name. */
  readonly optimizer: string;
}

/**
 * @param optimizerOf makes optimizers like the learner's, for parts of its model
 * @throws UsageError when the ranks can't share the batch, the network can't be split that way or the
 * optimizer needs it whole
 */
export function openStepper(
  learner: Learner,
  optimizerOf: (model: Model) => Optimizer,
  { batch, parts, split, freeze, optimizer: name }: StepperOptions,
  ranks: Ranks,
): Stepper {
  const share = shareFor(split, batch, ranks);
  if (ranks.size === 1) return localStepper(learner, batch, parts);
  const { model, optimizer } = learner;
  if (split !== null && findOptimizer(name).needsWhole) {
    throw new UsageError(
      `${option("split")} ${split}: ${name} needs each matrix whole, and the ranks would have parts: leave it out`,
    );
  }
  if (split !== null && model.half) {
    throw new UsageError(
      `${setting("split", split)}: its ranks exchange activations in single precision, and the training is in half: ` +
        `use ${setting("split", "none")}`,
    );
  }
  if (split !== null && parts > 1) {
    throw new UsageError(
      `${setting("split", split)}: parts of a network take a step at once: leave out ${option("accumulate")}`,
    );
  }
  const { take, ...steps } =
    split === null
      ? sharedSteps(learner, share, ranks, Math.min(parts, Math.floor(batch / ranks.size)))
      : splitSteps(new SplitModel(learner, optimizerOf, split, ranks, freeze), share);
  const begin = async () => {
    await makeAlike(ranks, model, optimizer);
    await take();
  };
  return {
    ...steps,
    leads: ranks.rank === 0,
    share,
    ahead: 0,
    get sentBytes() {
      return ranks.sentBytes;
    },
    begin,
    /** Devices of one kind compute the same updates, bit for bit; those of several kinds drift apart by rounding. */
    async realign() {
      if (await areAlike(ranks, model.parameters)) return false;
      await begin();
      return true;
    },
    answer: async (members, dataset, pass) => (await answerTogether(ranks, members, dataset, pass))?.answers,
  };
}

/** What differs between the two. */
interface Steps extends Pick<Stepper, "step" | "agreed" | "gather"> {
  /** Copies what this rank trains out of the whole model. */
  take(): Promise<void>;
}

/** Each rank has some of the images and the whole network. A save concerns only the rank that leads. */
function sharedSteps({ model, optimizer }: Learner, share: Share, ranks: Ranks, parts: number): Steps {
  let stop = false;
  return {
    async step(step, wishes) {
      const { labels, valid } = step.whole;
      const own = { ...step, share, parts, whole: { images: labels.length, valid }, stop: wishes.stop };
      const { result } = await sharedStep(model, optimizer, step.mean, own, ranks);
      const done = await result;
      ({ stop } = done);
      return done;
    },
    agreed: ({ save }) => ({ stop, save }),
    async take() {},
    async gather() {},
  };
}

/** Each rank has a part of the network; all of them take part in a save. */
function splitSteps(model: SplitModel, share: Share): Steps {
  let agreed: Wishes = { stop: false, save: false };
  return {
    async step(step, wishes) {
      const { stop, save, ...result } = await model.step({ ...step, ...wishes, share });
      agreed = { stop, save };
      return result;
    },
    agreed: () => agreed,
    take: () => model.take(),
    gather: () => model.give(),
  };
}
