import { printRemarks, sayRemarks } from "../../cli/remarks.ts";
import {
  bar,
  bold,
  count,
  cyan,
  dim,
  here,
  label,
  percent,
  plural,
  print,
  printJson,
  say,
  shortened,
  table,
  widthsFor,
} from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { command } from "../../program.ts";
import { RUNS } from "../../runs/runs.ts";
import { predict, PREDICT_OPTIONS, type PredictEvent, type Prediction } from "./predict.ts";

const BAR = 24;

export default verb({
  description: "Classify images: print the most probable classes of each",
  options: PREDICT_OPTIONS,
  prints: ({ out }) => out === undefined,
  async run(options, { json }, context) {
    let [answers, failures] = [0, 0];
    const show = (prediction: Prediction) => {
      if ("error" in prediction) failures++;
      else answers++;
      if (json) printJson(prediction);
      else if ("error" in prediction) say.error(`${prediction.image}: ${prediction.error}`);
      else print(describe(prediction));
    };
    const onEvent = (event: PredictEvent) =>
      event.type === "prediction" ? show(event.prediction) : context.onEvent(event);
    const { network, weights, standIn, remarks, picture } = await predict({ ...options, ...context, onEvent });
    (json ? printRemarks : sayRemarks)(remarks);
    if (!json && answers > 0) {
      print(dim(`by ${network}, ${here(weights)}`));
      if (standIn) {
        const { origin, because, classes } = standIn;
        if (because !== undefined) say.warn(because);
        const which =
          origin === "box"
            ? `the network in the box: it knows ${classes.map(label).join(", ")}`
            : `a pretrained one: it knows ImageNet's ${count(classes.length)} classes`;
        say.info(
          `there is no trained run in ${RUNS}/, so this is ${which}. ` +
            `Name another with --model, or train one on your photos:  ${command("train FOLDER")}`,
        );
      }
      if (picture) print(`${bold(here(picture.file))}: ${plural(picture.images, "image")}`);
    }
    return failures > 0 ? 1 : 0;
  },
});

function describe({ image, classes, unsure, unlike }: Extract<Prediction, { classes: unknown }>): string {
  const names = classes.map(({ name }) => label(name));
  // Two columns before each name, and between it, its bar and "100.0%".
  const width = widthsFor(names, 12, BAR);
  const rows = classes.map(({ probability }, i) => [
    shortened(names[i]!, width.name),
    cyan(bar(probability, width.bar)),
    percent(probability).padStart(6),
  ]);
  const [first, ...rest] = table(rows).split("\n");
  const doubts = [unsure && "unsure", unlike && "unlike anything it was trained on"].filter(Boolean).join("; ");
  return [
    label(image),
    ...(doubts === "" ? [] : [`  ${doubts}`]),
    bold(`  ${first}`),
    ...rest.map((row) => `  ${row}`),
  ].join("\n");
}
