/**
 * What a step gains from kernels that do the work of several, or do it otherwise. Each change rewrites the list of kernels:
 * it removes some, and adds or removes arithmetic and traffic of others.
 */
import type { BufferView } from "../../src/engine/backend.ts";
import { activationsOf } from "../../src/engine/later/half_cases.ts";
import type { Call } from "./calls.ts";
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
  name: "ReLU's gradient in the kernel before it, where it isn't yet",
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
  name: "LRN and max-pooling together, both ways, where that is faster (done)",
  isDone: true,
  apply: (step) =>
    step.flatMap((item) => {
      const { flop } = item;
      const cost = (flop: number, ...names: readonly string[]) => {
        return { ...item, flop, bytes: names.reduce((sum, name) => sum + once(item, name), 0) };
      };
      // What is between them has the size of x and dx.
      if (isNamed(/^lrn_max_pool_forward$/)(item)) return [cost(flop / OVERLAP, "x", "x"), cost(0, "x", "y", "argmax")];
      if (isNamed(/^lrn_max_pool_backward$/)(item)) return [cost(0, "dy", "argmax", "dx"), cost(flop, "x", "dx", "dx")];
      return [item];
    }),
};

/** Gradients of parameters are copied too, but these are small. */
const LARGE = 2 ** 20;

const sharedGradient: Change = {
  name: "gradients of residual branches shared, not copied to one of two",
  apply: (step) => step.filter((item) => !(isNamed(/^copy_run$/)(item) && item.bytes > LARGE)),
};

const winogradGradient: Change = {
  name: "weight gradients by Winograd's filtering where it is faster (done)",
  isDone: true,
  apply(step) {
    const gone = new Set<Priced>();
    const changed = step.map((item, i) => {
      if (!isNamed(/^winograd_\dx\d_windows$/)(item)) return item;
      // Before it are the transforms of x and dy, the products, and perhaps their sum.
      const first = step.findLastIndex((each, at) => at < i && isNamed(/^winograd_\dx\d_input$/)(each));
      const [patches, gradients] = [step[first]!, step[first + 1]!];
      for (const each of step.slice(first, i)) gone.add(each);
      const { images, oh, ow } = gradients.call.uniforms;
      const flop = (2 * once(item, "dw") * (oh! * ow! * images!)) / 4;
      return { ...item, flop, bytes: once(patches, "x") + once(gradients, "dy") + once(item, "dw") };
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
      if (isNamed(/^winograd_\dx\d_gradients$/)(item)) return { ...item, bytes: item.bytes - once(item, "gradients") };
      return isWinogradProduct(item) ? { ...item, bytes: once(item, item.call.buffers.dw ? "dw" : "w") } : item;
    }),
};

/** Winograd's products are run by the kernels of a 1 × 1 convolution's gradients. */
function isWinogradProduct({ call: { kernel, uniforms } }: Priced): boolean {
  return (
    /^conv2d_backward_[wx]$/.test(kernel.name) && uniforms.kh === 1 && uniforms.pad === 0 && uniforms.groups! >= 36
  );
}

/** As `--precision half` has it. */
const halfStorage: Change = {
  name: "activations and their gradients stored in half precision (an option)",
  apply: (step) =>
    step.map((item) => {
      const { kernel } = item.call;
      // Patches and their products are in single precision.
      if (isWinogradProduct(item)) return item;
      const halved = activationsOf(kernel).reduce((sum, name) => sum + bytesOf(item.call, name) / 2, 0);
      return { ...item, bytes: item.bytes - halved };
    }),
};

const FUSIONS: readonly Change[] = [activationForward, activationBackward, biasGradient];

export const CHANGES: readonly Change[] = [
  fusedConvolution,
  normaliseAndPool,
  winogradGradient,
  ...FUSIONS,
  {
    name: `these ${FUSIONS.length} together`,
    apply: (step, msOf) => FUSIONS.reduce((changed, { apply }) => apply(changed, msOf), [...step]),
  },
  sharedGradient,
  winogradInside,
  halfStorage,
];
