import { evaluate } from "../tasks/evaluate.ts";
import { means } from "../tasks/scores.ts";
import { stopOnCtrlC } from "./interrupt.ts";
import { bar, bold, count, here, percent, print, printJson, ProgressLine, say, table } from "./terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "./verb.ts";

const BAR = 20;
const VIEWS = { 1: "centre crops", 2: "centre crops and their mirror images", 10: "ten views each" };

export default verb({
  name: "evaluate",
  description: "Measure loss and errors of a trained model, over all images and class by class",
  args: {
    data: {
      type: "positional",
      required: false,
      description: "A set of images as `train` takes it; without it what the run was validated with",
    },
    model: { type: "string", description: "A run or a .safetensors file (the newest run)", valueHint: "RUN" },
    views: {
      type: "string",
      description: "1: the centre of each image; 2: and its mirror image; 10: and the corners and theirs (1)",
      valueHint: "1|2|10",
    },
    batch: { type: "string", description: "Images at once", valueHint: "N" },
    ...deviceArgs,
  },
  async run(args) {
    const line = new ProgressLine();
    const options = given({
      data: args.data,
      model: args.model,
      views: number("views", args.views),
      batch: number("batch", args.batch),
    });
    const signal = stopOnCtrlC();
    const result = await evaluate(
      { ...options, ...deviceOptions(args) },
      (done, total) => line.update(`evaluating: ${count(done)} of ${count(total)}`),
      signal,
    ).catch((error: unknown) => {
      if (signal.aborted && error === signal.reason) return undefined;
      throw error;
    });
    line.clear();
    if (!result) return 1;
    const { total, classes, ...rest } = result;
    if (args.json) {
      const byClass = classes.map(({ name, scores }) => ({ name, images: scores.images, ...means(scores) }));
      printJson({ ...rest, images: total.images, ...means(total), classes: byClass });
      return 0;
    }
    for (const bad of result.bad.slice(0, 10)) say.warn(`skipped ${bad}`);
    const { loss, top1, top5 } = means(total);
    print(`${bold(result.network)} (${here(result.weights)}) on ${result.data}`);
    print(
      `${count(total.images)} images, ${VIEWS[result.views]}, ${result.imagesPerSecond.toFixed(0)} images/s on ${result.device}`,
    );
    print(`loss ${loss.toFixed(4)}, top-1 error ${bold(percent(top1))}, top-5 error ${bold(percent(top5))}`);
    const rows = classes
      .filter(({ scores }) => scores.images > 0)
      .map(({ name, scores }) => {
        const right = 1 - scores.wrong1 / scores.images;
        return [name, bar(right, BAR), percent(right), `of ${count(scores.images)}`];
      });
    print(`right, by class:\n${table(rows, [2, 3])}`);
    return 0;
  },
});
