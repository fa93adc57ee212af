import { printRemarks, sayRemarks } from "../../cli/remarks.ts";
import {
  bar,
  bold,
  cyan,
  dim,
  here,
  label,
  percent,
  print,
  printJson,
  say,
  table,
  plural,
} from "../../cli/terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "../../cli/verb.ts";
import { RUNS } from "../../runs/runs.ts";
import { predict, type Prediction } from "./predict.ts";

const BAR = 24;

export default verb({
  name: "predict",
  description: "Say what is on images: the most probable classes of each",
  args: {
    image: { type: "positional", required: true, description: "Image files, folders of them, or - for standard input" },
    model: {
      type: "string",
      description: "A run or a .safetensors file (the newest run; before there is one, the network in the box)",
      valueHint: "RUN",
    },
    views: {
      type: "string",
      description: "1: the centre of each image; 2: and its mirror image; 10: and the corners and theirs (1)",
      valueHint: "1|2|10",
    },
    top: { type: "string", description: "How many classes to name (5)", valueHint: "N" },
    out: {
      type: "string",
      description: "Draw the images with their classes as bars; the right one is marked if the folder is named so",
      valueHint: "FILE.png",
    },
    ...deviceArgs,
  },
  many: true,
  prints: ({ out }) => out === undefined,
  async run(args) {
    let failures = 0;
    const show = (prediction: Prediction) => {
      if ("error" in prediction) failures++;
      if (args.json) printJson(prediction);
      else if ("error" in prediction) say.error(`${prediction.image}: ${prediction.error}`);
      else print(describe(prediction));
    };
    const options = given({
      model: args.model,
      views: number("views", args.views),
      top: number("top", args.top),
      out: args.out,
    });
    const { network, weights, boxed, remarks, picture } = await predict(
      { images: args._, ...options, ...deviceOptions(args) },
      show,
    );
    (args.json ? printRemarks : sayRemarks)(remarks);
    if (!args.json) {
      print(dim(`by ${network}, ${here(weights)}`));
      if (boxed) {
        say.info(
          `there is no trained run in ${RUNS}/, so this is the network in the box: it knows ` +
            `${boxed.map(label).join(", ")}. Name another with --model; train one on your photos:  bun run train FOLDER`,
        );
      }
      if (picture) print(`${bold(here(picture.file))}: ${plural(picture.images, "image")}`);
    }
    return failures > 0 ? 1 : 0;
  },
});

function describe({ image, classes }: Extract<Prediction, { classes: unknown }>): string {
  const rows = classes.map(({ name, probability }) => [
    label(name),
    cyan(bar(probability, BAR)),
    percent(probability).padStart(6),
  ]);
  const [first, ...rest] = table(rows).split("\n");
  return [label(image), bold(`  ${first}`), ...rest.map((row) => `  ${row}`)].join("\n");
}
