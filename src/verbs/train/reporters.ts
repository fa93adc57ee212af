/** How the command reports a training, to people and to programs. */
import { sayRemarks } from "../../cli/remarks.ts";
import {
  bold,
  count,
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
import { predictCommand, resumeCommand } from "../../runs/command.ts";
import type { StartRecord } from "../../runs/records.ts";
import type { Report, TrainEvent } from "../../training/events.ts";
import type { Calibration } from "../../weights/calibration.ts";
import { epochTable, rate } from "./epoch_table.ts";

export function jsonReporter(): Report {
  return printJson;
}

const DOING = {
  measure: "measuring the mean image",
  compare: "looking for duplicates",
  features: "computing features",
  validate: "validating",
} as const;

/** Number of bad images named; a summary counts the rest. */
const NAMED = 10;

/** @param quiet whether only the result is to be shown */
export function peopleReporter(quiet = false): Report {
  const line = new ProgressLine();
  const tell = quiet ? () => {} : print;
  let row = epochTable();
  let [bad, epochs] = [0, 0];
  let started: StartRecord | undefined;
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
        tell(bold(`Fold ${event.fold} of ${event.folds}`));
        row = epochTable();
        break;
      case "start":
        started = event;
        for (const text of opening(event)) tell(text);
        break;
      case "step":
        line.update({
          label: `epoch ${event.epoch}/${event.epochs}`,
          share: event.batch / event.batches,
          facts: [
            `${duration(event.secondsLeft)} left`,
            `accuracy ${percent(1 - event.top1)}`,
            `loss ${event.loss.toFixed(3)}`,
            `${rate(event.imagesPerSecond)} images/s`,
          ],
        });
        break;
      case "measure":
      case "compare":
      case "features":
      case "validate": {
        const { done, total } = event;
        line.update({
          label: DOING[event.type],
          share: done / total,
          facts: [`${count(done)} of ${count(total)} images`],
        });
        break;
      }
      case "head":
        tell(`The last layer first, on features of ${featuresOf(event)}:`);
        break;
      case "plan":
        tell(
          event.epochs === 0
            ? "There is no time left for an epoch of the whole network."
            : `The whole network, for ${plural(event.epochs, "epoch")} of about ${duration(event.seconds / event.epochs)}:`,
        );
        break;
      case "calibrated":
        tell(calibrationLine(event));
        break;
      case "bad":
        bad++;
        if (bad <= NAMED) say.warn(`skipped ${event.name}: ${event.reason}`);
        if (bad === NAMED) say.warn("more images that can't be used are only counted");
        break;
      case "epoch":
        epochs++;
        tell(row(event, event.isBest));
        break;
      case "saved":
        break;
      case "end":
        if (bad > NAMED) say.warn(`${count(bad)} images can't be used`);
        for (const text of closing(event, epochs > 0)) print(text);
        for (const text of advice(event, epochs > 0, started)) tell(text);
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
    `${event.minutes === undefined ? plural(event.epochs, "epoch") : `about ${plural(event.minutes, "minute")}`}, ${batchesOf(event)}, learning rate ${Number(event.rate.toPrecision(3))}; run folder ${here(event.run)}`,
  ];
  if (event.from && event.from.epoch < event.epochs)
    lines.push(`continuing with epoch ${event.from.epoch + 1}, batch ${event.from.batch + 1}`);
  return lines;
}

function batchesOf({ batch, accumulate }: Extract<TrainEvent, { type: "start" }>): string {
  return accumulate === undefined ? `batches of ${batch}` : `${accumulate} batches of ${batch} a step`;
}

function calibrationLine({ temperature, images, before, after }: Calibration): string {
  const errors = `calibration error ${percent(before)}, with it ${percent(after)}`;
  return `Calibrated with ${plural(images, "validation image")}: temperature ${temperature.toFixed(2)}; ${errors}`;
}

/** What came out. @param isNew whether there was an epoch to train */
function closing(event: Extract<TrainEvent, { type: "end" }>, isNew: boolean): string[] {
  const { interrupted, run, samples, bestError, validated = 0, phases } = event;
  if (interrupted) return [`Stopped and saved. Continue with  ${resumeCommand(here(run))}`];
  if (bestError === undefined || !isNew) return [`Nothing left to do. ${tryIt(run, samples)}`];
  const lines = [`Done: ${accuracyInWords(bestError, validated)}.`];
  if (phases?.whole !== undefined) lines.push(phasesInWords(phases.lastLayer, phases.whole, validated));
  return lines;
}

/** What to do next, after a training that came to its end. */
function advice(
  { interrupted, run, samples, bestError, validated = 0 }: Extract<TrainEvent, { type: "end" }>,
  isNew: boolean,
  start: StartRecord | undefined,
): string[] {
  if (interrupted || bestError === undefined || !isNew) return [];
  const next = tryIt(run, samples);
  if (!start?.isHeldOut || !isVague(bestError, validated)) return [next];
  const all = count(start.train + start.val);
  return [
    `${plural(validated, "image proves", "images prove")} little: --folds 5 validates with each of the ${all}.`,
    next,
  ];
}

function tryIt(run: string, samples: string | undefined): string {
  return `Try it on an image:  ${predictCommand(here(run), samples && here(samples))}`;
}

/** What training everything gained. @param images how many the errors are of */
function phasesInWords(lastLayer: number, whole: number, images: number): string {
  const [alone, all] = [percent(1 - lastLayer), percent(1 - whole)];
  const more = Math.round((lastLayer - whole) * images);
  if (more <= 0) {
    return `The last layer alone: ${alone}. Training the whole network brought no more (${all} at best), and was undone.`;
  }
  const points = (100 * (lastLayer - whole)).toFixed(1);
  return `The last layer alone: ${alone}. The whole network: ${all} (+${points} points, ${plural(more, "image")} more).`;
}

/** A 95% interval wider than this share says little. */
const VAGUE = 0.2;

function isVague(error: number, images: number): boolean {
  const [low, high] = interval95(Math.round(error * images), images);
  return high - low > VAGUE;
}

/** @param error of how many images */
function accuracyInWords(error: number, images: number): string {
  const [low, high] = interval95(Math.round(error * images), images);
  return (
    `${percent(1 - error)} of the ${count(images)} validation images are classified correctly ` +
    `(95% interval: ${percent(1 - high)} to ${percent(1 - low)})`
  );
}
