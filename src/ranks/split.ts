/**
 * Model-parallel training: a network is split into parts, one on each rank. Besides its part each rank keeps the whole
 * model, which is what is initialised, evaluated and saved; weights are copied between the two when needed.
 */
import { shareOf, type Share } from "../data/share.ts";
import { Tape } from "../engine/tape.ts";
import { size, type Tensor } from "../engine/tensor.ts";
import { UsageError } from "../errors.ts";
import { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { partOf, type Cut, type Stage } from "../net/parts.ts";
import { networkInput, loss, passOf } from "../net/passes.ts";
import { trainedState } from "../net/state.ts";
import { command } from "../program.ts";
import { readResult, type StepResult } from "../training/step.ts";
import type { BatchStep, Learner, Wishes } from "../training/stepper.ts";
import { Exchange } from "./exchange.ts";
import { Gradients } from "./gradients.ts";
import { whileBlocking, type Ranks } from "./ranks.ts";

/**
 * The images that a rank gets.
 * @throws UsageError when there are too few or too many ranks, or the batch can't be divided
 */
export function shareOfCut(cut: Cut, batch: number, { rank, size }: Ranks): Share {
  if (cut === "towers" && size !== 2) {
    throw new UsageError(
      `--split towers is for two ranks, and there ${were(size)}: mpiexec -n 2 ${command("train …")}`,
    );
  }
  if (cut === "owt" && size === 1) {
    throw new UsageError(`--split owt is for several ranks, and there was one: mpiexec -n 2 ${command("train …")}`);
  }
  if (cut === "towers") return { first: 0, count: batch };
  if (batch % size === 0) return shareOf(batch, rank, size);
  throw new UsageError(`--batch ${batch}: --split owt on ${size} ranks needs a multiple of ${size} images a step`);
}

const were = (ranks: number) => (ranks === 1 ? "was one" : `were ${ranks}`);

/** A step that every rank does its part of, and what this rank wishes. */
export interface PartStep extends BatchStep, Wishes {
  /** The images of the batch that this rank starts with. */
  readonly share: Share;
}

/** The result, and what at least one rank wishes. */
export interface PartResult extends StepResult, Wishes {}

export class SplitModel {
  readonly #ranks: Ranks;
  readonly #whole: Learner;
  readonly #part: Learner;
  readonly #stages: readonly Stage[];
  /** What is exchanged before each stage, if anything. */
  readonly #exchanges: readonly (Exchange | undefined)[];

  /**
   * @param optimizerOf makes the part's optimizer, of the same kind
   * @throws UsageError when the network can't be split that way
   */
  constructor(
    whole: Learner,
    optimizerOf: (model: Model) => Optimizer,
    cut: Cut,
    ranks: Ranks,
    frozen: readonly string[],
  ) {
    const { network, classes, parameters } = whole.model;
    const { network: own, stages } = partOf(network, cut, ranks.size, classes);
    const part = new Model(own, parameters[0]!.backend, classes);
    part.freeze(frozen);
    this.#ranks = ranks;
    this.#whole = whole;
    this.#part = { model: part, optimizer: optimizerOf(part) };
    this.#stages = stages;
    this.#exchanges = stages.map(({ needs }) => needs && new Exchange(ranks, needs === "images"));
  }

  /** Copies this rank's part out of the whole model. */
  async take(): Promise<void> {
    for (const { whole, part, count } of this.#tensors()) {
      const values = await whole.read();
      const first = count === values.length ? 0 : this.#ranks.rank * count;
      part.write(values.subarray(first, first + count));
    }
  }

  /** Assembles the whole model from the parts of all ranks. */
  async give(): Promise<void> {
    for (const { whole, part, count } of this.#tensors()) {
      let values = await part.read();
      const total = size(whole.shape);
      if (count !== total) {
        const all = new Float32Array(total);
        await this.#ranks.collect(Promise.resolve(values), all);
        values = all;
      }
      whole.write(values);
    }
  }

  /** Forward, backward, update; resolves when the update is queued and the result is known. */
  step(step: PartStep): Promise<PartResult> {
    return whileBlocking(this.#ranks, () => this.#step(step));
  }

  async #step(step: PartStep): Promise<PartResult> {
    const { mean, share, whole } = step;
    const { backend } = mean;
    const { model, optimizer } = this.#part;
    const images = whole.labels.length;
    const tapes = this.#stages.map(({ byImages }) => {
      if (!byImages) return new Tape(backend, { part: { block: this.#ranks.rank } });
      const part = { first: share.first, whole: images };
      return new Tape(backend, { part, allReduce: (sums) => this.#ranks.sumNow(sums) });
    });
    const lossOf = loss(tapes.at(-1)!, whole);
    const [pass, inputs, outputs] = [passOf(step), [] as Tensor[], [] as Tensor[]];
    for (const [i, { first, end }] of this.#stages.entries()) {
      const x =
        i === 0 ? networkInput(tapes[0]!, model, mean, step) : await this.#gather(i, tapes[i]!, outputs[i - 1]!);
      inputs.push(x);
      outputs.push(model.forward(x, pass, end, first));
    }
    const learnt = lossOf(outputs.at(-1)!);
    const gradients = new Gradients(this.#ranks, backend);
    tapes.at(-1)!.backward(learnt.loss);
    for (let i = inputs.length - 1; i > 0 && inputs[i]!.requiresGrad; i--) {
      const [tape, output] = [tapes[i - 1]!, outputs[i - 1]!];
      const values = await this.#exchanges[i]!.backward(inputs[i]!.grad!, this.#stages[i]!.repeated);
      const { byImages } = this.#stages[i - 1]!;
      tape.backward(output, {
        gradient: tape.input(output.shape, values),
        // A stage by images has gradients of its own images, which are summed; one by features has complete ones.
        ...(byImages && { onGradient: (parameter) => gradients.add(parameter) }),
      });
    }
    const result = readResult(learnt);
    await gradients.done();
    optimizer.step(step.rateOf, step.done);
    for (const tape of tapes) tape.release();
    const wishes = Float32Array.of(step.stop ? 1 : 0, step.save ? 1 : 0);
    await this.#ranks.sum(Promise.resolve([wishes]));
    return { ...(await result), stop: wishes[0]! > 0, save: wishes[1]! > 0 };
  }

  /** The input of the i-th stage, assembled from the outputs of all ranks in the one before. */
  async #gather(i: number, tape: Tape, own: Tensor): Promise<Tensor> {
    const values = await this.#exchanges[i]!.forward(own);
    const axis = this.#stages[i]!.needs === "images" ? own.shape.length - 1 : 0;
    const shape = own.shape.map((side, k) => (k === axis ? side * this.#ranks.size : side));
    // Its gradient is read after the backward pass.
    return tape.input(shape, values, { requiresGrad: own.requiresGrad }).keep();
  }

  /** Parameters and the optimizer's state of the whole, and in `count` elements of the part. */
  #tensors() {
    const [whole, part] = [this.#whole, this.#part].map(({ model, optimizer }) => trainedState(model, optimizer));
    return whole!.map((tensor, i) => ({ whole: tensor, part: part![i]!, count: size(part![i]!.shape) }));
  }
}
