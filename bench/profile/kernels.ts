/** A training step's kernels by the device's clock, with their work: what is needed to say what limits each. */
import type { Backend, KernelTime } from "../../src/engine/backend.ts";
import { checkFit } from "../../src/net/fit.ts";
import type { Network } from "../../src/net/recipe.ts";
import { LayeredSteps } from "../layered_steps.ts";
import { listening } from "../model/calls.ts";
import { costOf, type Cost } from "../model/costs.ts";
import type { KernelRow } from "./document.ts";

interface KernelsOptions {
  readonly network: Network;
  readonly images: number;
  /** Steps that are timed, at least one and at most this many. */
  readonly most: number;
  readonly isOver: () => boolean;
  /** Called after each step with the best times so far, once the loss has fallen. */
  readonly save?: (rows: readonly KernelRow[]) => void;
}

/**
 * The best time of each kernel over several steps.
 * @throws DeviceError; WrongResult when the loss does not fall
 */
export async function profileKernels(
  backend: Backend,
  { network, images, most, isOver, save = () => {} }: KernelsOptions,
): Promise<KernelRow[]> {
  checkFit({ network, classes: network.classes, kind: "training" }, images, backend);
  let part = "";
  let queued: (Cost & { readonly part: string })[] = [];
  let times: readonly KernelTime[] = [];
  const device = listening(
    {
      ...backend,
      async profile(work) {
        queued = [];
        return (times = await backend.profile(work));
      },
    },
    (call) => queued.push({ part, ...costOf(call) }),
  );
  const steps = new LayeredSteps(network, device, images, (name) => (part = name));
  try {
    // Compiles, tunes and allocates.
    await steps.run();
    const best = new Map<number, KernelRow>();
    for (let step = 0; step < most && (step === 0 || !isOver()); step++) {
      await steps.run();
      times.forEach(({ kernel, ms }, index) => {
        const earlier = best.get(index)?.ms ?? Infinity;
        const own = queued[index]!;
        best.set(index, { model: network.name, images, index, ...own, kernel, ms: Math.min(ms, earlier) });
      });
      // Wrong results get no times.
      const [first] = steps.losses;
      if (steps.losses.some((loss) => loss < first!)) save([...best.values()]);
    }
    steps.confirm();
    return [...best.values()];
  } finally {
    steps.free();
  }
}
