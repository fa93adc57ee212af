/** How the command reports a training, to people and to programs. */
import { dirname, resolve } from "node:path";
import { sayRemarks } from "../../cli/remarks.ts";
import {
  bold,
  count,
  dim,
  duration,
  here,
  percent,
  print,
  printJson,
  ProgressLine,
  say,
  plural,
} from "../../cli/terminal.ts";
import { interval95 } from "../../inference/answers.ts";
import { command } from "../../program.ts";
import { RUNS } from "../../runs/runs.ts";
import type { Report, TrainEvent } from "../../training/events.ts";
import type { Calibration } from "../../weights/calibration.ts";

export function jsonReporter(): Report {
  return printJson;
}

/** Number of bad images named; a summary counts the rest. */
const NAMED = 10;

export function peopleReporter(): Report {
  const line = new ProgressLine();
  let [bad, epochs] = [0, 0];
  return (event: TrainEvent) => {
    switch (event.type) {
      case "note":
        line.update(event.line);
        break;
      case "warning":
        say.warn(event.line);
        break;
      case "remark":
        sayRemarks([event]);
        break;
      case "fold":
        print(bold(`Fold ${event.fold} of ${event.folds}`));
        break;
      case "start":
        for (const text of opening(event)) print(text);
        break;
      case "measure":
        line.update(`measuring the mean image: ${count(event.done)} of ${count(event.total)}`);
        break;
      case "step":
        line.update(
          `epoch ${event.epoch}/${event.epochs}  ${percent(event.batch / event.batches).padStart(6)}  loss ${event.loss.toFixed(3)}` +
            `  error ${percent(event.top1)}  ${rate(event.imagesPerSecond)}  ${duration(event.secondsLeft)} left`,
        );
        break;
      case "compare":
        line.update(`looking for duplicates: ${count(event.done)} of ${count(event.total)}`);
        break;
      case "features":
        line.update(`computing features: ${count(event.done)} of ${count(event.total)}`);
        break;
      case "head":
        print(`The last layer first, on features of ${featuresOf(event)}:`);
        break;
      case "plan":
        print(
          event.epochs === 0
            ? "There is no time left for an epoch of the whole network."
            : `The whole network, for ${plural(event.epochs, "epoch")} of about ${duration(event.seconds / event.epochs)}:`,
        );
        break;
      case "calibrated":
        print(calibrationLine(event));
        break;
      case "validate":
        line.update(`validating: ${count(event.done)} of ${count(event.total)}`);
        break;
      case "bad":
        bad++;
        if (bad <= NAMED) say.warn(`skipped ${event.name}: ${event.reason}`);
        if (bad === NAMED) say.warn("more images that can't be used are only counted");
        break;
      case "epoch": {
        const { epoch, train, val, imagesPerSecond, dataWait, seconds, isBest } = event;
        epochs++;
        const waits = dataWait >= 0.01 ? `, ${percent(dataWait)} waiting for data` : "";
        const name = epoch === 0 ? "last layer" : `epoch ${String(epoch).padStart(3)}`;
        print(
          `${name.padEnd(10)} train loss ${train.loss.toFixed(3)} error ${percent(train.top1).padStart(6)}` +
            `   val loss ${val.loss.toFixed(3)} error ${bold(percent(val.top1).padStart(6))}${isBest ? " *" : "  "}` +
            `  ${dim(`${rate(imagesPerSecond)}, ${duration(seconds)}${waits}`)}`,
        );
        break;
      }
      case "saved":
        break;
      case "end":
        if (bad > NAMED) say.warn(`${count(bad)} images can't be used`);
        for (const text of closing(event, epochs > 0)) print(text);
        break;
    }
  };
}

function featuresOf({ images, of, views }: Extract<TrainEvent, { type: "head" }>): string {
  if (images < of) return `${count(images)} of the ${plural(of, "image")}: there was no time for more`;
  return `${plural(images, "image")}${views > 1 ? " and their mirror images" : ""}`;
}

function opening(event: Extract<TrainEvent, { type: "start" }>): string[] {
  const lines = [
    `${bold(event.network)}, ${count(event.parameters)} parameters, on ${event.device}`,
    `${here(event.data)}: ${plural(event.train, "image")} to train on, ${count(event.val)} to validate with, ${plural(event.classes, "class", "classes")}`,
    `${event.minutes === undefined ? plural(event.epochs, "epoch") : `about ${plural(event.minutes, "minute")}`}, batches of ${event.batch}, learning rate ${Number(event.rate.toPrecision(3))}; run folder ${here(event.run)}`,
  ];
  if (event.from && event.from.epoch < event.epochs)
    lines.push(`continuing with epoch ${event.from.epoch + 1}, batch ${event.from.batch + 1}`);
  return lines;
}

function calibrationLine({ temperature, images, before, after }: Calibration): string {
  const errors = `calibration error ${percent(before)}, with it ${percent(after)}`;
  return `Calibrated with ${plural(images, "validation image")}: temperature ${temperature.toFixed(2)}; ${errors}`;
}

/** @param isNew whether there was an epoch to train */
function closing(event: Extract<TrainEvent, { type: "end" }>, isNew: boolean): string[] {
  const { interrupted, run, samples, bestError, validated } = event;
  if (interrupted) return [`Stopped and saved. Continue with  ${command(`train --resume ${here(run)}`)}`];
  const result =
    bestError === undefined || !isNew ? "Nothing left to do." : `Done: ${accuracyInWords(bestError, validated!)}.`;
  // The newest run in runs/ need not be named.
  const model = dirname(run) === resolve(RUNS) ? "" : ` --model ${here(run)}`;
  return [`${result} Try it on an image:  ${command(`predict ${samples ? here(samples) : "IMAGE"}${model}`)}`];
}

/** @param error of how many images */
function accuracyInWords(error: number, images: number): string {
  const [low, high] = interval95(Math.round(error * images), images);
  return (
    `${percent(1 - error)} of the ${count(images)} validation images are classified correctly ` +
    `(95% interval: ${percent(1 - high)} to ${percent(1 - low)})`
  );
}

function rate(imagesPerSecond: number): string {
  return `${imagesPerSecond >= 100 ? count(Math.round(imagesPerSecond)) : imagesPerSecond.toFixed(1)} images/s`;
}
