/** Opens the device that a training runs on, and again when it is lost or out of memory. */
import { openDeviceOf } from "../../devices/open.ts";
import type { Backend } from "../../engine/backend.ts";
import { AlexNetError, DeviceError, DeviceLostError, DeviceMemoryError } from "../../errors.ts";
import { option, setting } from "../../option_names.ts";
import { command } from "../../program.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import type { Run } from "../../runs/runs.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import type { TrainJob, TrainResult } from "./job.ts";
import { afterShortage } from "./memory.ts";
import { trainOn } from "./train_on.ts";

/** Trains on a device. If it is lost, opens it or another one once more; if it lacks memory, cuts its batches. */
export async function trainOnDevices(first: TrainJob): Promise<TrainResult> {
  const { folder, ranks } = first;
  let job = first;
  let lost: DeviceLostError | undefined;
  for (;;) {
    await using backend = await open(job.config, ranks).catch((error: unknown) => {
      if (!lost || !(error instanceof AlexNetError)) throw error;
      throw new DeviceError(`${lost.message}, and can't be reopened: ${error.message}: ${howToResume(folder.run!)}`);
    });
    try {
      return await trainOn(job, backend);
    } catch (error) {
      if (error instanceof DeviceMemoryError) {
        // As below, in a run that has begun.
        const begun = folder.run && job.mayCut ? { ...job, config: folder.run.readConfig() } : job;
        job = { ...job, config: afterShortage(error, begun, backend) };
        continue;
      }
      // Other ranks can't go back to the last save: all end, to be resumed together.
      if (!(error instanceof DeviceLostError) || !folder.run || ranks.size > 1) throw error;
      if (lost)
        throw new DeviceLostError(`${error.message}, for the second time: ${howToResume(folder.run)}`, {
          cause: error,
        });
      lost = error;
      folder.warn(`${error.message}: reopening it, and continuing from the last save`);
      // The number of epochs and the size of batches may have been chosen meanwhile.
      job = { ...job, config: folder.run.readConfig() };
    }
  }
}

async function open({ device, blas, threads, tune, precision }: TrainConfig, ranks: Ranks): Promise<Backend> {
  const options = {
    device,
    ...(blas === null ? {} : { blas }),
    ...(threads === null ? {} : { threads }),
    ...(tune === null ? {} : { tune }),
  };
  const backend = await openDeviceOf(options, ranks);
  if (precision === "single" || backend.hasHalf) return backend;
  await backend.close();
  throw new DeviceError(
    `${setting("precision", precision)}: ${backend.description} has no half precision: train on a GPU that has ` +
      `(${option("device")}; \`${command("doctor")}\` says which), or begin a run with ${setting("precision", "single")}`,
  );
}

function howToResume({ path }: Run): string {
  return `continue with ${setting("resume", path)}, on another device with ${option("device")}`;
}
