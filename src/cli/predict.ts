import { predict, type Prediction } from "../tasks/predict.ts";
import { bar, bold, cyan, dim, here, percent, print, printJson, say } from "./terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "./verb.ts";

const BAR = 24;

export default verb({
  name: "predict",
  description: "Say what is on images: the most probable classes of each",
  args: {
    image: { type: "positional", required: true, description: "Image files, folders of them, or - for standard input" },
    model: { type: "string", description: "A run or a .safetensors file (the newest run)", valueHint: "RUN" },
    views: {
      type: "string",
      description: "1: the centre of each image; 2: and its mirror image; 10: and the corners and theirs (1)",
      valueHint: "1|2|10",
    },
    top: { type: "string", description: "How many classes to name (5)", valueHint: "N" },
    ...deviceArgs,
  },
  many: true,
  async run(args) {
    let failures = 0;
    const show = (prediction: Prediction) => {
      if ("error" in prediction) failures++;
      if (args.json) printJson(prediction);
      else if ("error" in prediction) say.error(`${prediction.image}: ${prediction.error}`);
      else print(picture(prediction));
    };
    const options = given({ model: args.model, views: number("views", args.views), top: number("top", args.top) });
    const { network, weights } = await predict({ images: args._, ...options, ...deviceOptions(args) }, show);
    if (!args.json) print(dim(`by ${network}, ${here(weights)}`));
    return failures > 0 ? 1 : 0;
  },
});

function picture({ image, classes }: Extract<Prediction, { classes: unknown }>): string {
  const width = Math.max(...classes.map(({ name }) => name.length));
  const rows = classes.map(({ name, probability }, i) => {
    const text = `  ${name.padEnd(width)}  ${cyan(bar(probability, BAR))}  ${percent(probability).padStart(6)}`;
    return i === 0 ? bold(text) : text;
  });
  return [image, ...rows].join("\n");
}
