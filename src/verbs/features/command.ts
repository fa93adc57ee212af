import { stopOnCtrlC } from "../../cli/interrupt.ts";
import { withRanks } from "../../cli/ranks.ts";
import { sayRemarks } from "../../cli/remarks.ts";
import { bold, count, dim, here, label, print, printJson, ProgressLine, say } from "../../cli/terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "../../cli/verb.ts";
import { unlessStopped } from "../../signals.ts";
import { features, type Features } from "./features.ts";

export default verb({
  name: "features",
  description: "Write the activations of a layer for every image of a set, as a NumPy array: a row an image",
  args: {
    data: {
      type: "positional",
      required: false,
      description: "A set of images as `train` takes it; without it what the run was trained on",
    },
    part: { type: "string", description: "train or val, where the set has both (train)", valueHint: "PART" },
    model: { type: "string", description: "A run or a .safetensors file (the newest run)", valueHint: "RUN" },
    layer: { type: "string", description: "Which layer (the last hidden one: fc7 in AlexNet)", valueHint: "NAME" },
    batch: { type: "string", description: "Images at once", valueHint: "N" },
    out: {
      type: "string",
      description: "The file to write; a .csv beside names the rows (features.npy)",
      valueHint: "FILE.npy",
    },
    ...deviceArgs,
  },
  async run(args) {
    const options = given({
      ...{ data: args.data, part: args.part, model: args.model, layer: args.layer, out: args.out },
      batch: number("batch", args.batch),
    });
    const signal = stopOnCtrlC("this batch");
    const asked = { ...options, ...deviceOptions(args) };
    return withRanks(async (ranks) => {
      const line = ranks.rank === 0 ? new ProgressLine() : undefined;
      const result = await unlessStopped(
        signal,
        features(asked, (text) => line?.update(text), signal, ranks),
      );
      line?.clear();
      if (!result) return 1;
      if (ranks.rank === 0) show(result, args.json);
      return 0;
    });
  },
});

function show(result: Features, asJson: boolean | undefined): void {
  if (asJson) return printJson(result);
  const { file, table, images, size, layer, network, weights, data, imagesPerSecond, bad, changes } = result;
  sayRemarks(result.remarks);
  if (changes) say.warn(changes);
  for (const each of bad.slice(0, 10)) say.warn(`skipped ${each}`);
  if (bad.length > 10) say.warn(`and ${count(bad.length - 10)} more`);
  print(
    `${bold(here(file))}: ${count(images)} × ${count(size)} numbers, ${layer} of ${network}; ${here(table)} names the rows`,
  );
  print(dim(`${label(data)}, by ${here(weights)}, ${imagesPerSecond.toFixed(0)} images/s on ${result.device}`));
}
