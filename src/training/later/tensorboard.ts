/** Writes event files for TensorBoard into the run's folder: `tensorboard --logdir runs`. */
import { hostname } from "node:os";
import { join } from "node:path";
import { oneLine } from "../../errors.ts";
import { appendToFile, reason } from "../../io/files.ts";
import { scalarsRecord, startRecord, versionRecord } from "./event_file.ts";
import type { Report, TrainEvent } from "../events.ts";

/** How many steps there are from one record of scalars to the next. */
const EVERY_STEPS = 50;

/**
 * Passes a training's events on and writes their numbers to an event file. A resumed training starts a new file, which
 * voids what older ones have from its first step on. A write that fails is reported once, and nothing more is written.
 */
export function withTensorboard(report: Report): Report {
  let run: string | undefined;
  let file: string | undefined;
  const write = (record: (time: number) => Uint8Array) => {
    if (run === undefined) return;
    const time = Date.now() / 1000;
    try {
      if (file === undefined) {
        const host = hostname().replace(/[^\w-]/g, "_") || "host";
        file = join(run, `events.out.tfevents.${Math.floor(time)}.${host}.${process.pid}`);
        appendToFile(file, versionRecord(time));
      }
      appendToFile(file, record(time));
    } catch (error) {
      report({ type: "warning", line: `no more is written for TensorBoard: ${oneLine(`${file}: ${reason(error)}`)}` });
      run = undefined;
    }
  };
  return (event) => {
    report(event);
    if (event.type === "start") [run, file] = [event.run, undefined];
    else if (event.type === "step") {
      const step = (event.epoch - 1) * event.batches + event.batch;
      if (run !== undefined && file === undefined) write((time) => startRecord(time, step));
      if (step % EVERY_STEPS === 0) write((time) => scalarsRecord(time, step, ofStep(event)));
    } else if (event.type === "epoch") write((time) => scalarsRecord(time, event.step, ofEpoch(event)));
  };
}

type EventOf<T extends TrainEvent["type"]> = Extract<TrainEvent, { type: T }>;

function ofStep({ loss, top1, imagesPerSecond }: EventOf<"step">): Record<string, number> {
  return { "within_epoch/loss": loss, "within_epoch/error": top1, "within_epoch/images_per_second": imagesPerSecond };
}

function ofEpoch({ train, val, rate, imagesPerSecond }: EventOf<"epoch">): Record<string, number> {
  return {
    "loss/train": train.loss,
    "loss/validation": val.loss,
    "accuracy/train": 1 - train.top1,
    "accuracy/validation": 1 - val.top1,
    "error/train": train.top1,
    "error/validation": val.top1,
    "error/validation_top5": val.top5,
    learning_rate: rate,
    images_per_second: imagesPerSecond,
  };
}
