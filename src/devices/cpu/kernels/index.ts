/** Every kernel that the CPU backend computes by other means than its reference loop, by name. */
import type { CpuKernel } from "../kernel.ts";
import { convolutionKernels } from "./convolution.ts";
import { elementwiseKernels } from "./elementwise.ts";
import { linearKernels } from "./linear.ts";
import { localKernels } from "./local.ts";
import { normalizationKernels } from "./normalization.ts";
import { poolingKernels } from "./pooling.ts";

export const cpuKernels: ReadonlyMap<string, CpuKernel> = new Map(
  [
    ...convolutionKernels,
    ...elementwiseKernels,
    ...linearKernels,
    ...localKernels,
    ...normalizationKernels,
    ...poolingKernels,
  ].map((kernel) => [kernel.name, kernel]),
);
