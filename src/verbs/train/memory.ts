/** Batches for devices with little memory. */
import type { Backend } from "../../engine/backend.ts";
import { DeviceMemoryError } from "../../errors.ts";
import { checkFit, fittingBatch, lackOf } from "../../net/fit.ts";
import { setting } from "../../option_names.ts";
import { gatherValues } from "../../ranks/agreement.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import { batchOf, workOf, type TrainJob } from "./job.ts";

/**
 * The configuration with batches that the device can hold. A batch that nobody asked for is cut into parts that go
 * through the network one after the other, so that a step is as it would be with more memory.
 * @throws DeviceError when a batch that was asked for doesn't fit, or not even a single image
 */
export async function fitted(job: TrainJob, backend: Backend): Promise<TrainConfig> {
  const { config, ranks, folder } = job;
  const lacking = (config: TrainConfig) => lackOf(workOf({ ...job, config }), batchOf(config, job.sets), backend);
  const own = () => partsThat((parts) => lacking(cut(config, parts)) === undefined, config.batch);
  // The ranks have to agree, since each has a device of its own.
  const parts = job.mayCut ? Math.max(...(await gatherValues(ranks, own()))) : 1;
  if (parts === 1) {
    checkFit(workOf(job), batchOf(config, job.sets), backend);
    return config;
  }
  folder.warn(`${lacking(config) ?? "another rank has too little memory"}: ${inParts(config.batch, parts)}`);
  return cut(config, parts);
}

/**
 * What to go on with after a device ran out of memory.
 * @throws the error, with a batch that would have fit, if the batch was asked for or can't be cut
 */
export function afterShortage(error: DeviceMemoryError, job: TrainJob, backend: Backend): TrainConfig {
  const { config, sets, ranks, folder } = job;
  const batch = fittingBatch(workOf(job), batchOf(config, sets), backend, backend.statistics().bytes);
  const parts = partsThat((parts) => config.batch / parts <= batch, config.batch);
  if (!job.mayCut || ranks.size > 1 || parts === 1) {
    const advice = batch > 0 ? `try ${setting("batch", batch)}` : `${config.network} needs another device`;
    throw new DeviceMemoryError(`${error.message}: ${advice}`, { cause: error });
  }
  folder.warn(`${error.message.replace(/: use a smaller batch$/, "")}: going on, ${inParts(config.batch, parts)}`);
  return cut(config, parts);
}

/** The least number of equal parts of a batch for which `fit` holds; 1 if it holds for none. */
function partsThat(fit: (parts: number) => boolean, batch: number): number {
  for (let parts = 1; parts <= batch; parts++) if (batch % parts === 0 && fit(parts)) return parts;
  return 1;
}

function cut(config: TrainConfig, parts: number): TrainConfig {
  return { ...config, batch: config.batch / parts, accumulate: config.accumulate * parts };
}

function inParts(batch: number, parts: number): string {
  return `each batch of ${batch} is computed in ${parts} parts of ${batch / parts}`;
}
