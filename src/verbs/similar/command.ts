import { stopOnCtrlC } from "../../cli/interrupt.ts";
import { printRemarks, sayRemarks } from "../../cli/remarks.ts";
import { bold, dim, here, label, print, printJson, ProgressLine, say, table, plural } from "../../cli/terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "../../cli/verb.ts";
import { unlessStopped } from "../../signals.ts";
import { similar, type Similar } from "./similar.ts";

export default verb({
  name: "similar",
  description: "Find the images of a set that a trained model finds most like others, by the activations of a layer",
  args: {
    image: { type: "positional", required: true, description: "Image files, folders of them, or - for standard input" },
    in: {
      type: "string",
      description: "The set to search, its training part if it has one (what the run was trained on)",
      valueHint: "DATA",
    },
    model: { type: "string", description: "A run or a .safetensors file (the newest run)", valueHint: "RUN" },
    layer: {
      type: "string",
      description: "Whose activations (the last hidden layer: fc7 in AlexNet)",
      valueHint: "NAME",
    },
    top: { type: "string", description: "How many images to find (6)", valueHint: "N" },
    batch: { type: "string", description: "Images at once while the index is made", valueHint: "N" },
    out: { type: "string", description: "Draw the images beside what was found", valueHint: "FILE.png" },
    ...deviceArgs,
  },
  many: true,
  prints: ({ out }) => out === undefined,
  async run(args) {
    const line = new ProgressLine();
    let failures = 0;
    const show = (one: Similar) => {
      line.clear();
      if ("error" in one) failures++;
      if (args.json) printJson(one);
      else if ("error" in one) say.error(`${one.image}: ${one.error}`);
      else print(describe(one));
    };
    const options = given({
      ...{ data: args.in, model: args.model, layer: args.layer, out: args.out },
      ...{ top: number("top", args.top), batch: number("batch", args.batch) },
    });
    const signal = stopOnCtrlC("this batch");
    const note = (text: string) => void (args.json || (line.clear(), say.info(text)));
    const update = (text: string) => line.update(text);
    const asked = { images: args._, ...options, ...deviceOptions(args) };
    const result = await unlessStopped(signal, similar(asked, show, update, note, signal));
    line.clear();
    if (!result) return 1;
    (args.json ? printRemarks : sayRemarks)(result.remarks);
    if (!args.json) {
      const { network, weights, layer, images, data, picture, changes } = result;
      if (changes) say.warn(changes);
      print(dim(`by ${layer} of ${network}, ${here(weights)}; ${plural(images, "image")} of ${label(data)}`));
      if (picture) print(bold(here(picture)));
    }
    return failures > 0 ? 1 : 0;
  },
});

function describe({ image, neighbours }: Extract<Similar, { neighbours: unknown }>): string {
  const rows = neighbours.map((each) => [
    String(Number(each.distance.toPrecision(4))),
    label(each.class),
    label(here(each.image)),
  ]);
  const found = table(rows, [0]).split("\n");
  return [bold(label(image)), ...found.map((row) => `  ${row}`)].join("\n");
}
