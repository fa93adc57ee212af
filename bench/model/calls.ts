/** The kernels of a training step: recorded as they are queued, on a device or on one that only pretends. */
import { asView, type Backend, type BufferView } from "../../src/engine/backend.ts";
import { openCounting } from "../../src/engine/counting.ts";
import type { Kernel } from "../../src/engine/kernel.ts";
import { openReference } from "../../src/engine/reference.ts";
import type { Network } from "../../src/net/recipe.ts";
import { LayeredSteps } from "../layered_steps.ts";

/** A kernel with what it was given. */
export interface Call {
  /** The part of the step that queued it: "conv1 forward", "loss backward", "update". */
  readonly part: string;
  readonly kernel: Kernel;
  readonly buffers: Readonly<Record<string, BufferView>>;
  readonly uniforms: Readonly<Record<string, number>>;
}

/**
 * The same device; every kernel queued on it is also told to `heard`, but for those that it times to choose the fastest of
 * several ways.
 * @param msOf the time of a kernel by the model, by which a device that only pretends chooses
 */
export function listening(
  backend: Backend,
  heard: (call: Omit<Call, "part">) => void,
  msOf?: (call: Omit<Call, "part">) => number,
): Backend {
  let [hear, { fastest }] = [heard, backend];
  if (msOf) {
    fastest = (_kernel, _sizes, ways) => {
      const times = Object.entries(ways).map(([name, run]) => {
        let ms = 0;
        hear = (call) => void (ms += msOf(call));
        run();
        return { name, ms };
      });
      return times.toSorted((a, b) => a.ms - b.ms)[0]?.name;
    };
  }
  return {
    ...backend,
    ...(fastest && {
      fastest(...given) {
        hear = () => {};
        const way = fastest(...given);
        hear = heard;
        return way;
      },
    }),
    run(kernel, buffers, uniforms) {
      const views = Object.entries(buffers).map(([name, buffer]) => [name, asView(buffer as BufferView)]);
      hear({ kernel: kernel as unknown as Kernel, buffers: Object.fromEntries(views), uniforms });
      backend.run(kernel, buffers, uniforms);
    },
  };
}

/** What ops ask of a GPU before they choose their kernels. */
export type Traits = Pick<Backend, "parallelWorkgroups"> & { readonly bindingBytes?: number };

/** A GPU that computes nothing, with the kernels that a hardware GPU would be given. */
export function pretend({ parallelWorkgroups, bindingBytes = 2 ** 31 - 4 }: Traits): Backend {
  return openCounting({
    ...openReference(),
    kind: "wgpu",
    limits: { bindingBytes, bufferBytes: bindingBytes, totalBytes: Infinity, viewAlignment: 256 },
    needsSplitting: true,
    parallelWorkgroups,
  });
}

/**
 * The kernels of one training step with SGD, in order. Nothing is computed.
 * @param msOf as in `listening`
 */
export async function callsOf(
  network: Network,
  images: number,
  traits: Traits,
  msOf?: (call: Omit<Call, "part">) => number,
): Promise<Call[]> {
  const calls: Call[] = [];
  let part = "";
  const device = pretend(traits);
  const backend = listening(
    { ...device, profile: async (work) => (work(), calls.map(({ kernel }) => ({ kernel: kernel.name, ms: 0 }))) },
    (call) => calls.push({ part, ...call }),
    msOf,
  );
  const steps = new LayeredSteps(network, backend, images, (name) => (part = name));
  await steps.run();
  steps.free();
  return calls;
}
