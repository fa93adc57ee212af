import { count, here, percent, print, printJson, say, table } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { UsageError } from "../../errors.ts";
import type { Context } from "../../ranks/context.ts";
import { command } from "../../program.ts";
import { TRAIN_OPTIONS, type TrainOptions } from "../../runs/train_options.ts";
import { flag, number, text, type OptionsOf, type Schema } from "../../schema.ts";
import type { Report, TrainEvent } from "../../training/events.ts";
import { withTensorboard } from "../../training/later/tensorboard.ts";
import { readConfigFile } from "./config_file.ts";
import { openDashboard, type Dashboard } from "./dashboard/server.ts";
import { crossValidate, FOLDS_RULE, type CrossValidation } from "./folds.ts";
import { jsonReporter, peopleReporter } from "./reporters.ts";
import type { TrainResult } from "./job.ts";
import { train, trainWatched } from "./train.ts";

/** Flags that only the command has. */
const FLAGS = {
  config: text(
    "A TOML or JSON file of options by their names, or a run's config.json; the command line goes before it",
    {
      hint: "FILE",
    },
  ),
  dashboard: number("Show the training live in a browser on this machine, at this port or any free one", {
    hint: "PORT",
    bare: "0",
  }),
  folds: number("Cross-validate: train K times, each time validated on another part of the images", {
    hint: "K",
    rule: FOLDS_RULE,
  }),
  tensorboard: flag("Write event files for TensorBoard to the run's folder"),
};

export default verb({
  description:
    "Train an image classifier on your photos or, without data, on a built-in set. " +
    `mpiexec -n N ${command("train …")} trains on N devices, of one machine or several`,
  options: TRAIN_OPTIONS,
  flags: FLAGS,
  isShared: true,
  finishes: "this step",
  async run(given, { json, quiet, config, ...flags }, { ranks, signal }) {
    const read = () => withFile(config, given, flags);
    // All ranks find the same mistakes; one reports them.
    await ranks.share(() => void read());
    const { options, dashboard, folds, tensorboard } = read();
    const shown = json ? jsonReporter() : peopleReporter(quiet);
    // Other ranks show only their troubles.
    const onEvent = ranks.rank !== 0 ? troubles(shown) : tensorboard ? withTensorboard(shown) : shown;
    const context = { ranks, signal, onEvent };
    if (folds !== undefined) {
      if (dashboard !== undefined) throw new UsageError("--dashboard shows one training: leave it out with --folds");
      const found = await crossValidate({ ...options, ...context, folds });
      if (found && ranks.rank === 0) {
        if (json) printJson({ type: "folds", ...found });
        else print(foldsInWords(found));
      }
      return found ? 0 : 1;
    }
    const { interrupted } = await (dashboard === undefined
      ? train({ ...options, ...context })
      : trainShown(dashboard, options, context));
    return interrupted ? 1 : 0;
  },
});

/** The options and flags of a file, where the command line doesn't say them. */
function withFile(file: string | undefined, given: TrainOptions, flags: Omit<OptionsOf<typeof FLAGS>, "config">) {
  if (file === undefined) return { options: given, ...flags };
  if (given.resume !== undefined)
    throw new UsageError("--config is for new runs: one that is resumed has its settings");
  const { config: _, ...own } = FLAGS;
  const { resume: __, allowChangedData: ___, ...first } = TRAIN_OPTIONS;
  const schema: Schema = { ...first, ...own };
  const said = Object.entries(readConfigFile(file, schema));
  const [fromFile, forFlags] = [false, true].map((isFlag) => {
    return Object.fromEntries(said.filter(([key]) => Object.hasOwn(own, key) === isFlag));
  });
  return { options: { ...fromFile, ...given } as TrainOptions, ...(forFlags as typeof flags), ...flags };
}

function foldsInWords({ folder, folds, mean, deviation }: CrossValidation): string {
  const rows = folds.map(({ images, accuracy }, k) => [`${k + 1}`, count(images), percent(accuracy)]);
  return [
    table([["fold", "validation images", "accuracy"], ...rows], [0, 1, 2]),
    `On average ${percent(mean)} are classified correctly, with a standard deviation of ${percent(deviation)}: ${here(folder)}`,
  ].join("\n");
}

/** The part of another rank's report that concerns the user. */
function troubles(report: Report): Report {
  return (event) => {
    if (event.type === "bad" || event.type === "warning") report(event);
  };
}

/** Trains while a page shows it. Stopped there, a training has ended as it should: it does not count as interrupted. */
async function trainShown(
  port: number,
  options: TrainOptions,
  { ranks, signal, onEvent }: Required<Context<TrainEvent>>,
): Promise<TrainResult> {
  await using dashboard = ranks.rank === 0 ? openDashboard(port) : undefined;
  if (dashboard) say.info(`dashboard: ${dashboard.url}`);
  const call = { ...options, ranks, signal, onEvent };
  try {
    const result = await (dashboard ? trainWatched(watchedBy(dashboard, call), [dashboard.watcher]) : train(call));
    const isIntended = await ranks.share(() => dashboard!.signal.aborted && !signal.aborted);
    return isIntended ? { ...result, interrupted: false } : result;
  } catch (error) {
    dashboard?.fail(error);
    throw error;
  }
}

/** A call of `train` that a dashboard is told of and can stop. */
function watchedBy({ watch, signal }: Dashboard, call: TrainOptions & Required<Context<TrainEvent>>): typeof call {
  return { ...call, onEvent: watch(call.onEvent), signal: AbortSignal.any([call.signal, signal]) };
}
