import { count, here, percent, print, printJson, say, table } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { UsageError } from "../../errors.ts";
import { command } from "../../program.ts";
import { TRAIN_OPTIONS, type TrainOptions } from "../../runs/train_options.ts";
import { flag, number } from "../../schema.ts";
import type { Report } from "../../training/events.ts";
import { withTensorboard } from "../../training/later/tensorboard.ts";
import { openDashboard } from "./dashboard/server.ts";
import { crossValidate, FOLDS_RULE, type CrossValidation } from "./folds.ts";
import { jsonReporter, peopleReporter } from "./reporters.ts";
import { train, type TrainContext, type TrainResult } from "./train.ts";

export default verb({
  description:
    "Train an image classifier on your photos or, without data, on a built-in set. " +
    `mpiexec -n N ${command("train …")} trains on N devices, of one machine or several`,
  options: TRAIN_OPTIONS,
  flags: {
    dashboard: number("Show the training live in a browser on this machine, at this port or any free one", {
      hint: "PORT",
      bare: "0",
    }),
    folds: number("Cross-validate: train so often, each time validated on another part of the images", {
      hint: "K",
      rule: FOLDS_RULE,
    }),
    tensorboard: flag("Write event files for TensorBoard to the run's folder"),
  },
  isShared: true,
  finishes: "this step",
  async run(options, { json, dashboard, folds, tensorboard }, { ranks, signal }) {
    const shown = json ? jsonReporter() : peopleReporter();
    // Other ranks show only their troubles.
    const report = ranks.rank !== 0 ? troubles(shown) : tensorboard ? withTensorboard(shown) : shown;
    const context = { ranks, signal, report };
    if (folds !== undefined) {
      if (dashboard !== undefined) throw new UsageError("--dashboard shows one training: leave it out with --folds");
      const found = await crossValidate({ ...options, folds }, context);
      if (found && ranks.rank === 0) {
        if (json) printJson({ type: "folds", ...found });
        else print(foldsInWords(found));
      }
      return found ? 0 : 1;
    }
    const { interrupted } = await (dashboard === undefined || ranks.rank !== 0
      ? train(options, context)
      : trainShown(dashboard, options, context));
    return interrupted ? 1 : 0;
  },
});

function foldsInWords({ folder, folds, mean, deviation }: CrossValidation): string {
  const rows = folds.map(({ images, accuracy }, k) => [`${k + 1}`, count(images), percent(accuracy)]);
  return [
    table([["fold", "validation images", "correct"], ...rows], [0, 1, 2]),
    `On average ${percent(mean)} are classified correctly, with a standard deviation of ${percent(deviation)}: ${here(folder)}`,
  ].join("\n");
}

/** The part of another rank's report that concerns the user. */
function troubles(report: Report): Report {
  return (event) => {
    if (event.type === "bad" || event.type === "warning") report(event);
  };
}

/** Trains while a page shows it. */
async function trainShown(
  port: number,
  options: TrainOptions,
  { ranks, signal, report }: Required<Omit<TrainContext, "watchers">>,
): Promise<TrainResult> {
  await using dashboard = openDashboard(port);
  say.info(`dashboard: ${dashboard.url}`);
  return await train(options, {
    ranks,
    signal: AbortSignal.any([signal, dashboard.signal]),
    report: dashboard.watch(report),
    watchers: [dashboard.watcher],
  });
}
