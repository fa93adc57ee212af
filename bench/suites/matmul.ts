/** Matrix products: square ones with the ladders of GPU and CPU, and a network's fully connected layers. */
import type { Kernel } from "../../src/engine/kernel.ts";
import type { Bench, Entrant } from "../bench.ts";
import { checkSamples } from "../check.ts";
import type { BenchDevice } from "../devices.ts";
import { exactLinear } from "../exact.ts";
import { loadKernel } from "../kernel_run.ts";
import { cpuMatmulLadder } from "../ladder/cpu.ts";
import { matmulLadder } from "../ladder/matmul.ts";
import type { CpuRung } from "../ladder/types.ts";
import { layerPiece, namedLayers, openPass, type Task } from "../layer_piece.ts";
import { wallClock } from "../measure.ts";
import { square } from "../square.ts";
import { distinct, type Suite, type SuiteOptions } from "./suite.ts";

const SQUARES = [256, 512, 1024, 2048, 4096];
const QUICK_SQUARES = [256, 512];

export const matmul: Suite = {
  name: "matmul",
  about: "matrix products: squares, with the kernel ladders, and the fully connected layers",
  async run(bench: Bench, { network, batches, quick, others: more = () => [] }: SuiteOptions) {
    const ofCpuLadder = distinct(bench.devices).find(({ backend }) => backend.kind === "cpu");
    for (const side of quick ? QUICK_SQUARES : SQUARES) {
      const others = (task: Task, device: BenchDevice) => [
        ...(device.backend.kind === "wgpu" ? matmulLadder.map((rung) => gpuRung(rung, task, device)) : []),
        ...(device === ofCpuLadder ? cpuMatmulLadder.map((rung) => cpuRung(rung, task, device)) : []),
        ...more(task, device),
      ];
      const options = { others, zeroBias: true, name: `${side}×${side}×${side}` };
      await bench.contest(layerPiece("matmul", square(side), "forward", side, bench.devices, options));
    }
    const layers = namedLayers(network).filter(({ layer }) => layer.kind === "fc");
    for (const images of batches) {
      for (const layer of layers) {
        for (const pass of ["forward", "input gradient", "weight gradient"] as const) {
          await bench.contest(layerPiece("matmul", layer, pass, images, bench.devices, { others: more }));
        }
      }
    }
  },
};

/** A layer's w · x by another kernel, c = a · b. */
function gpuRung(kernel: Kernel<"a" | "b" | "c", "m" | "n" | "k">, task: Task, device: BenchDevice): Entrant {
  const { images } = task;
  return {
    ...{ contestant: kernel.name, device, clock: "device" },
    async open() {
      const { w, x } = task.operands();
      const [m, n, k] = [w.length / images, images, x.length / images];
      return openPass(task, device.backend, loadKernel(device.backend, kernel, { a: w, b: x }, m * n, { m, n, k }));
    },
  };
}

function cpuRung(rung: CpuRung, task: Task, device: BenchDevice): Entrant {
  const { images } = task;
  return {
    ...{ contestant: rung.name, device, clock: "wall" },
    async open() {
      const operands = task.operands();
      const { w, x } = operands;
      const [m, n, k] = [w.length / images, images, x.length / images];
      const product = await rung.open(device.threads!);
      product.load(w, x, m, n, k);
      return {
        run: wallClock(() => product.multiply()),
        async check() {
          await product.multiply();
          return checkSamples(await product.result(), exactLinear(operands, k, m, n).y);
        },
        close: () => product.close(),
      };
    },
  };
}
