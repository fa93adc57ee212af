/** Training steps whose kernels are timed individually and summed by the layer that queued them. */
import type { Backend } from "../src/engine/backend.ts";
import { augment, VIEW_LENGTH } from "../src/engine/ops/augment.ts";
import { softmaxCrossEntropy } from "../src/engine/ops/softmax_cross_entropy.ts";
import { Tape } from "../src/engine/tape.ts";
import { flatten, type Layer } from "../src/net/layer.ts";
import { Model } from "../src/net/model.ts";
import type { Network } from "../src/net/recipe.ts";
import { Sgd } from "../src/net/sgd.ts";
import { Purpose, streamKey } from "../src/random.ts";
import { WrongResult } from "./check.ts";
import { drawnInput, drawWeights, release, slowRate } from "./drawn.ts";
import { labelOf } from "./layer_piece.ts";

export class LayeredSteps {
  /** For each part of a step ("conv1 forward", "loss backward", "update") its ms in every step, in execution order. */
  readonly parts = new Map<string, number[]>();
  readonly losses: number[] = [];
  readonly #model: Model;
  readonly #optimiser: Sgd;
  readonly #input: ReturnType<typeof drawnInput>;
  /** Called by a layer when it begins. */
  #enter: (label: string) => void = () => {};
  /** The index of each part's first kernel. */
  #marks: { part: string; from: number }[] = [];
  #queued = 0;
  readonly #onPart: (part: string) => void;

  /** @param onPart told which part the kernels queued from now on belong to */
  constructor(network: Network, backend: Backend, images: number, onPart: (part: string) => void = () => {}) {
    this.#onPart = onPart;
    const counting = this.#counting(backend);
    this.#model = new Model(
      announcing(network, (label) => this.#enter(label)),
      counting,
    );
    drawWeights(this.#model);
    this.#optimiser = new Sgd(this.#model, network.recipe);
    this.#input = drawnInput(network, counting, images);
  }

  /** One step. @returns the ms of all its kernels @throws DeviceError; WrongResult when not all kernels were timed */
  async run(): Promise<number> {
    const { pixels, views, labels, mean } = this.#input;
    const { network } = this.#model;
    const backend = mean.backend;
    const images = labels.length;
    const tape = new MarkedTape(backend, (part) => this.#mark(part));
    const on = {
      pixels: tape.input([images, network.record, network.record, 3], pixels),
      views: tape.input([images, VIEW_LENGTH], views),
      labels: tape.input([images], labels),
    };
    this.#marks = [];
    this.#queued = 0;
    let losses: ReturnType<typeof softmaxCrossEntropy>["losses"] | undefined;
    const times = await backend.profile(() => {
      this.#mark("augment");
      const x = augment(on.pixels, on.views, mean, network.crop);
      // The same dropout masks in every step, so that the loss must fall, however small the batch.
      const pass = { training: true, dropoutKey: (i: number) => streamKey(0, Purpose.dropout, 0, i) };
      this.#enter = (label) => {
        tape.label = label;
        this.#mark(`${label} forward`);
      };
      const logits = this.#model.forward(x, pass);
      this.#enter("loss");
      const outcome = softmaxCrossEntropy(logits, on.labels);
      losses = outcome.losses;
      tape.backward(outcome.loss);
      this.#mark("update");
      this.#optimiser.step(slowRate(network));
    });
    if (times.length !== this.#queued) throw new WrongResult(`${times.length} kernels timed of ${this.#queued} queued`);
    const values = (await losses!.read()) as Float32Array;
    tape.release();
    this.losses.push(values.reduce((sum, loss) => sum + loss, 0) / images);
    return this.#addUp(times.map(({ ms }) => ms));
  }

  /** Drops the times so far, after warming up; the losses are kept. */
  forget(): void {
    this.parts.clear();
  }

  /** Every step trains on the same batch. @throws WrongResult when the loss did not fall */
  confirm(): void {
    const [first, ...rest] = this.losses;
    if (!(Math.min(...rest) < first!)) throw new WrongResult(`the loss did not fall: ${this.losses.join(", ")}`);
  }

  free(): void {
    this.#optimiser.free();
    release(this.#model, this.#input.mean);
  }

  #mark(part: string): void {
    this.#onPart(part);
    this.#marks.push({ part, from: this.#queued });
  }

  #addUp(ms: readonly number[]): number {
    const sums = new Map<string, number>();
    this.#marks.forEach(({ part, from }, i) => {
      const own = ms.slice(from, this.#marks[i + 1]?.from ?? ms.length);
      sums.set(
        part,
        own.reduce((sum, time) => sum + time, sums.get(part) ?? 0),
      );
    });
    for (const [part, sum] of sums) {
      const samples = this.parts.get(part);
      if (samples) samples.push(sum);
      else this.parts.set(part, [sum]);
    }
    return ms.reduce((sum, time) => sum + time, 0);
  }

  /** The same device, counting the kernels queued, but not those that it times for itself. */
  #counting(backend: Backend): Backend {
    const { fastest } = backend;
    return {
      ...backend,
      ...(fastest && {
        fastest: (...given) => {
          const queued = this.#queued;
          const way = fastest(...given);
          this.#queued = queued;
          return way;
        },
      }),
      run: (...kernel) => {
        this.#queued++;
        backend.run(...kernel);
      },
    };
  }
}

/** The same network, of layers and blocks that say when they begin. One that another computes too says nothing. */
function announcing(network: Network, enter: (label: string) => void): Network {
  let last = "input";
  const announce = (layer: Layer): Layer => {
    if ("branches" in layer) {
      const rows = Object.entries(layer.branches).map(([name, row]) => [name, row.map(announce)]);
      const label = labelOf(layer, last);
      return {
        ...layer,
        branches: Object.fromEntries(rows),
        merge: (...given) => (enter(label), layer.merge(...given)),
      };
    }
    last = layer.name || last;
    const label = labelOf(layer, last);
    return { ...layer, forward: (...given) => (enter(label), layer.forward(...given)) };
  };
  return { ...network, layers: (classes) => flatten(network.layers(classes)).map(announce) };
}

/** A tape that reports when it reaches the backward pass of what was recorded under a label. */
class MarkedTape extends Tape {
  label = "";
  readonly #mark: (part: string) => void;

  constructor(backend: Backend, mark: (part: string) => void) {
    super(backend);
    this.#mark = mark;
  }

  override record(entry: Parameters<Tape["record"]>[0]): void {
    const { label } = this;
    super.record({
      ...entry,
      backward: (dy) => {
        this.#mark(`${label} backward`);
        entry.backward(dy);
      },
    });
  }
}
