/**
 * What a step gains from kernels that do the work of several, or do it otherwise. Each change rewrites the list of kernels:
 * it removes some, and adds or removes arithmetic and traffic of others. Most of these kernels don't exist yet.
 */
import type { BufferView } from "../../src/engine/backend.ts";
import { suitsWinograd } from "../../src/engine/ops/winograd.ts";
import { elementType } from "../../src/engine/kernel.ts";
import { pretend, type Call } from "./calls.ts";
import { bytesOf, costOf, type Cost } from "./costs.ts";

/** A kernel and its work; `call` is how it was queued, before any change. */
export interface Priced extends Cost {
  readonly call: Call;
}

export function priced(calls: readonly Call[]): Priced[] {
  return calls.map((call) => ({ call, ...costOf(call) }));
}

export interface Change {
  readonly name: string;
  /** Whether the kernels are already like that: `apply` undoes it. */
  readonly isDone?: boolean;
  /**
   * The kernels as they would be.
   * @param msOf the time of a kernel on the device, for changes that are made only where they help
   */
  apply(step: readonly Priced[], msOf: (cost: Cost) => number): Priced[];
}

const isNamed = (pattern: RegExp) => (item: Priced) => pattern.test(item.call.kernel.name);
const isWritten = (spec: string | undefined) => spec !== undefined && !spec.startsWith("read");

/** The bytes of one of the buffers, moved once. */
function once({ call }: Priced, name: string): number {
  return 4 * call.buffers[name]!.length;
}

/** The index of the kernel before `index` that wrote this buffer last; -1 if none did. */
function writerOf(step: readonly Priced[], index: number, { buffer }: BufferView): number {
  return step.findLastIndex(({ call: { kernel, buffers } }, i) => {
    if (i >= index) return false;
    return Object.entries(buffers).some(([name, view]) => view.buffer === buffer && isWritten(kernel.buffers[name]));
  });
}

/** Removes kernels; `into` says what each adds to or takes from the kernel that wrote `operand`. */
function absorb(
  step: readonly Priced[],
  isAbsorbed: (item: Priced) => boolean,
  operand: string,
  into: (absorbed: Priced, writer: Priced) => Cost,
): Priced[] {
  const changed = [...step];
  const gone = new Set<number>();
  step.forEach((item, i) => {
    if (!isAbsorbed(item)) return;
    const writer = writerOf(step, i, item.call.buffers[operand]!);
    if (writer < 0) return;
    gone.add(i);
    changed[writer] = { ...changed[writer]!, ...into(item, changed[writer]!) };
  });
  return changed.filter((_, i) => !gone.has(i));
}

const fusedConvolution: Change = {
  name: "ReLU in the convolution or normalisation before it (done)",
  isDone: true,
  apply: (step) =>
    step.flatMap((item) => {
      const { kernel, uniforms } = item.call;
      return uniforms.activation && isWritten(kernel.buffers.y)
        ? [item, { ...item, flop: 0, bytes: 2 * once(item, "y") }]
        : [item];
    }),
};

const activationForward: Change = {
  name: "ReLU and dropout in the product before it",
  // Its result takes the place of what the product wrote.
  apply: (step) => absorb(step, isForward, "x", (_, writer) => writer),
};
/** Dropout has one kernel for both passes. */
function isForward(item: Priced): boolean {
  return isNamed(/^relu_forward$|^tanh_forward$|^dropout$/)(item) && item.call.part.endsWith(" forward");
}

const activationBackward: Change = {
  name: "ReLU's gradient in the kernel before it",
  // It then reads y too, but dy is neither read nor written once more.
  apply: (step) =>
    absorb(step, isNamed(/^(epilogue|relu)_backward$/), "dy", (gate, writer) => ({
      flop: writer.flop,
      bytes: writer.bytes + once(gate, "y"),
    })),
};

const biasGradient: Change = {
  name: "bias gradients in the weight gradients",
  // A weight gradient has all of dy in its tiles anyway.
  apply: (step) => step.filter((item) => !isNamed(/^row_sum$/)(item)),
};

/** Pooling windows of 3 × 3 overlap by a third: the maps at the edges are normalised for each window. */
const OVERLAP = 9 / 4;

const normaliseAndPool: Change = {
  name: "LRN and max-pooling together, both ways",
  apply(step) {
    const forward = absorb(
      step,
      (item) => isNamed(/^max_pool_forward$/)(item) && follows(step, item, "x", /^lrn_forward$/),
      "x",
      (pool, lrn) => ({ flop: lrn.flop * OVERLAP, bytes: lrn.bytes - once(lrn, "y") + pool.bytes - once(pool, "x") }),
    );
    // Backward, the pooling comes first: LRN's gradient reads what the pooling would have read.
    const changed = [...forward];
    const gone = new Set<number>();
    forward.forEach((item, i) => {
      if (!isNamed(/^lrn_backward$/)(item)) return;
      const writer = writerOf(forward, i, item.call.buffers.dy!);
      const pool = forward[writer];
      if (!pool || !isNamed(/^max_pool_backward$/)(pool)) return;
      gone.add(writer);
      changed[i] = { ...item, bytes: item.bytes - once(item, "dy") + pool.bytes - once(pool, "dx") };
    });
    return changed.filter((_, i) => !gone.has(i));
  },
};

function follows(step: readonly Priced[], item: Priced, operand: string, writer: RegExp): boolean {
  const before = step[writerOf(step, step.indexOf(item), item.call.buffers[operand]!)];
  return before !== undefined && isNamed(writer)(before);
}

/** Gradients of parameters are copied too, but these are small. */
const LARGE = 2 ** 20;

const sharedGradient: Change = {
  name: "gradients of residual branches passed on, not copied",
  apply: (step) => step.filter((item) => !(isNamed(/^copy_run$/)(item) && item.bytes > LARGE)),
};

const slidingLrn: Change = {
  name: "LRN's gradient with two powers instead of six",
  apply: (step) => step.map((item) => (isNamed(/^lrn_backward$/)(item) ? { ...item, flop: item.flop / 3 } : item)),
};

type Sizes = Parameters<typeof suitsWinograd>[1];
const ANY_GPU = pretend({ parallelWorkgroups: 1 });

const winogradGradient: Change = {
  name: "weight gradients by Winograd's filtering where it is faster",
  apply(step, msOf) {
    const kernelsOf = (part: string, pattern: RegExp) =>
      step.filter((item) => item.call.part === part && isNamed(pattern)(item));
    const gone = new Set<Priced>();
    const changed = step.flatMap((item) => {
      const { uniforms: u, part, buffers } = item.call;
      if (!isNamed(/^conv2d_backward_w$/)(item) || !suitsWinograd(ANY_GPU, u as Sizes)) {
        return [item];
      }
      const side = u.kh! + 3;
      const tiles = Math.ceil(u.oh! / 4) * Math.ceil(u.ow! / 4) * u.images!;
      const [patches, gradients] = [4 * side ** 2 * u.c! * tiles, 4 * side ** 2 * u.o! * tiles];
      const products = 4 * side ** 2 * u.o! * (u.c! / u.groups!);
      const weights = (4 * buffers.dw!.length) / u.splits!;
      // Two transforms, the products, and the transform of their sums. With so many products, none need be split.
      const kernels: Cost[] = [
        { flop: 0, bytes: once(item, "x") + patches },
        { flop: 0, bytes: once(item, "dy") + gradients },
        { flop: 2 * side ** 2 * u.o! * (u.c! / u.groups!) * tiles, bytes: patches + gradients + products },
        { flop: 0, bytes: products + weights },
      ];
      const sums = kernelsOf(part, /^sum_parts$/);
      const total = (costs: readonly Cost[]) => costs.reduce((ms, cost) => ms + msOf(cost), 0);
      if (total(kernels) >= total([item, ...sums])) return [item];
      for (const sum of sums) gone.add(sum);
      return kernels.map((cost) => ({ ...item, ...cost }));
    });
    return changed.filter((item) => !gone.has(item));
  },
};

const winogradInside: Change = {
  name: "Winograd's transforms inside its products",
  // Patches and sums stay in the workgroup. An upper bound: each tile of filters would transform its patches anew.
  apply: (step) =>
    step.map((item) => {
      if (isNamed(/^winograd_\dx\d_input$/)(item)) return { ...item, bytes: item.bytes - once(item, "patches") };
      if (isNamed(/^winograd_\dx\d_output$/)(item)) return { ...item, bytes: item.bytes - once(item, "products") };
      return isWinogradProduct(item) ? { ...item, bytes: once(item, "w") } : item;
    }),
};

/** Winograd's products are run by the kernel of a 1 × 1 convolution's gradient. */
function isWinogradProduct({ call: { kernel, uniforms } }: Priced): boolean {
  return kernel.name === "conv2d_backward_x" && uniforms.kh === 1 && uniforms.pad === 0 && uniforms.groups! >= 36;
}

/** Stay in single precision: parameters, their gradients and their state, sums of parts, and what is small. */
const SINGLE = new Set(["w", "b", "s", "v", "m", "dw", "db", "parts", "mean", "variance", "stats", "views", "weights"]);

const halfStorage: Change = {
  name: "activations and their gradients stored in half precision",
  apply: (step) =>
    step.map((item) => {
      const { kernel } = item.call;
      if (/^(sum_parts|sgd|softmax)/.test(kernel.name)) return item;
      const halved = Object.entries(kernel.buffers)
        .filter(([name, spec]) => elementType(spec) === "f32" && !SINGLE.has(name))
        .reduce((sum, [name]) => sum + bytesOf(item.call, name) / 2, 0);
      return { ...item, bytes: item.bytes - halved };
    }),
};

const FUSIONS: readonly Change[] = [activationForward, activationBackward, biasGradient, normaliseAndPool];

export const CHANGES: readonly Change[] = [
  fusedConvolution,
  ...FUSIONS,
  {
    name: `these ${FUSIONS.length} together`,
    apply: (step, msOf) => FUSIONS.reduce((changed, { apply }) => apply(changed, msOf), [...step]),
  },
  sharedGradient,
  slidingLrn,
  winogradGradient,
  winogradInside,
  halfStorage,
];
