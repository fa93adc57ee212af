/** The convolutions of a network: forward with the GPU's ladder, input gradient, weight gradient. */
import { size } from "../../src/engine/tensor.ts";
import type { Entrant } from "../bench.ts";
import type { BenchDevice } from "../devices.ts";
import { loadKernel } from "../kernel_run.ts";
import { convLadder } from "../ladder/conv.ts";
import { layerPiece, namedLayers, openPass, unfit, windowsOf, type Task } from "../layer_piece.ts";
import type { Suite } from "./suite.ts";

export const conv: Suite = {
  name: "conv",
  about: "the convolutions, forward (with the kernel ladder) and their two gradients",
  async run(bench, { network, batches, quick, others: more = () => [] }) {
    const layers = namedLayers(network).filter(({ layer }) => layer.kind === "conv" || layer.kind === "local");
    for (const images of batches) {
      for (const layer of layers) {
        for (const pass of ["forward", "input gradient", "weight gradient"] as const) {
          // Training does not need the gradient of the images.
          if (quick && pass === "input gradient" && layer === layers[0]) continue;
          const hasLadder = pass === "forward" && layer.layer.kind === "conv";
          const others = (task: Task, device: BenchDevice) => [
            ...(hasLadder ? rungs(task, device) : []),
            ...more(task, device),
          ];
          await bench.contest(layerPiece("conv", layer, pass, images, bench.devices, { others }));
        }
      }
    }
  },
};

function rungs(task: Task, device: BenchDevice): Entrant[] {
  if (device.backend.kind !== "wgpu") return [];
  return convLadder.map((rung) => ({
    ...{ contestant: rung.name, device, clock: "device", unfit: unfit(task.layer, task.images, device) },
    async open() {
      const { input, output, parameters } = task.layer;
      const { images } = task;
      const [c, h, w] = input;
      const [o, oh, ow] = output;
      const [kh, kw] = parameters[0]!.shape.slice(2) as [number, number];
      const uniforms = { images, c, h, w, o, oh, ow, kh, kw, ...windowsOf(task.layer) };
      const { x, w: weights, b } = task.operands();
      const loaded = loadKernel(device.backend, rung, { x, w: weights, b }, size(output) * images, uniforms);
      return openPass(task, device.backend, loaded);
    },
  }));
}
