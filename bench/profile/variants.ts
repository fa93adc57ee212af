/** Every form of the kernels of a pass as a contestant: the tuner's choice is only as good as its measurements. */
import { candidatesOf } from "../../src/devices/gpu/pipelines.ts";
import type { Backend } from "../../src/engine/backend.ts";
import type { Kernel, Variant } from "../../src/engine/kernel.ts";
import { isGpu } from "../../src/engine/ops/cases.ts";
import type { Entrant } from "../bench.ts";
import type { BenchDevice } from "../devices.ts";
import { openPass, unfit, type Task } from "../layer_piece.ts";
import { listening, pretend, type Call } from "../model/calls.ts";
import { loadPass } from "../pass.ts";

/**
 * The forms of the kernels that a pass runs, and, where Winograd's filtering can be used, the direct convolution.
 * @param open makes a contestant that is timed by this clock
 */
export function formsOf(
  task: Task,
  device: BenchDevice,
  clock: Entrant["clock"] = "device",
  open: typeof openPass = openPass,
): Entrant[] {
  const { backend } = device;
  if (!isGpu(backend.kind) || unfit(task.layer, task.images, device) !== undefined) return [];
  const calls = passCalls(task, backend);
  const forms = calls.flatMap(({ kernel, uniforms }) => {
    if (!kernel.variants?.length) return [];
    return candidatesOf(kernel, uniforms).map((form) => ({ kernel, form }));
  });
  const unique = [...new Map(forms.map((each) => [each.form.name, each])).values()];
  const entrantOf = (contestant: string, changed: Backend): Entrant => ({
    ...{ contestant, device, clock },
    open: async () => open(task, changed, loadPass(changed, task.layer, task.pass, task.operands())),
  });
  const isWinograd = calls.some(({ kernel }) => kernel.name.startsWith("winograd_"));
  return [
    ...unique.map(({ kernel, form }) => entrantOf(form.name, forcing(backend, kernel, form))),
    ...(isWinograd ? [entrantOf("direct", { ...backend, fastest: () => "direct" })] : []),
  ];
}

/** The kernels of a pass, without those of the forward pass before a gradient. */
function passCalls({ layer, pass, operands }: Task, { parallelWorkgroups, limits }: Backend): Omit<Call, "part">[] {
  let calls: Omit<Call, "part">[] = [];
  const backend = listening(pretend({ parallelWorkgroups, bindingBytes: limits.bindingBytes }), (call) =>
    calls.push(call),
  );
  const loaded = loadPass(backend, layer, pass, operands());
  calls = [];
  loaded.queue();
  const queued = calls;
  loaded.free();
  return queued;
}

/** The same device, on which a kernel always has this form; and of several ways to compute the same, the first is taken. */
export function forcing(backend: Backend, kernel: Kernel, form: Variant): Backend {
  // Without variants there is nothing to choose from.
  const { variants: _, ...forced }: Kernel = { ...kernel, ...form };
  const { fastest: __, ...device } = backend;
  return {
    ...device,
    run: (run, buffers, uniforms) => {
      const isForced = (run as unknown) === kernel;
      backend.run(isForced ? (forced as unknown as typeof run) : run, buffers, uniforms);
    },
  };
}
