/** All kernels with a CPU implementation, by name; the others run their reference loops. */
import type { CpuKernel } from "../kernel.ts";
import { convolutionKernels } from "./convolution.ts";
import { directKernels } from "./direct.ts";
import { linearKernels } from "./linear.ts";
import { localKernels } from "./local.ts";

export const cpuKernels: ReadonlyMap<string, CpuKernel> = new Map(
  [...convolutionKernels, ...directKernels, ...linearKernels, ...localKernels].map((kernel) => [kernel.name, kernel]),
);
