import { bold, count, here, plural, print, printJson, ProgressLine } from "../../cli/terminal.ts";
import { given, number, verb } from "../../cli/verb.ts";
import { UsageError } from "../../errors.ts";
import { importWeights, NAMED } from "./import.ts";

/** Of the names of tensors so many. */
const SHOWN = 5;

export default verb({
  name: "import",
  description: "Make a run folder of weights from elsewhere: PyTorch, safetensors, Caffe or NumPy",
  args: {
    file: {
      type: "positional",
      required: true,
      description: `A .pth, .pt, .safetensors, .caffemodel, .npz or .npy file, or ${Object.keys(NAMED).join(", ")}`,
    },
    out: { type: "string", description: "The run folder to make (runs/MODEL-imported-1, …)", valueHint: "FOLDER" },
    model: { type: "string", description: "The network, where several have these shapes", valueHint: "NAME" },
    classes: {
      type: "string",
      description: "A file with a class name a line (ImageNet's for 1,000)",
      valueHint: "FILE",
    },
    mean: {
      type: "string",
      description: "What was subtracted from pixels: three numbers, a .binaryproto or a .npy (as usual for the format)",
      valueHint: "A,B,C|FILE",
    },
    std: {
      type: "string",
      description: "What they were divided by then (as usual for the format)",
      valueHint: "A,B,C",
    },
    pixels: { type: "string", description: "The largest a pixel was: 1 or 255", valueHint: "N" },
    order: { type: "string", description: "rgb or bgr: the order of the colours", valueHint: "ORDER" },
  },
  async run(args) {
    const { order } = args;
    if (order !== undefined && order !== "rgb" && order !== "bgr") {
      throw new UsageError(`--order ${order}: must be rgb or bgr`);
    }
    const line = new ProgressLine();
    const options = given({
      out: args.out,
      model: args.model,
      classes: args.classes,
      mean: args.mean,
      deviation: args.std?.split(",").map((part) => number("std", part)!),
      pixels: number("pixels", args.pixels),
      order: order as "rgb" | "bgr" | undefined,
    });
    const imported = await importWeights({ file: args.file, ...options }, (text) => line.update(text)).finally(() =>
      line.clear(),
    );
    if (args.json) {
      printJson(imported);
      return 0;
    }
    const { run, network, parameters, format, place, others, beside, classes, names, preprocessing } = imported;
    const from = place === "" ? format : `${format} (${place})`;
    print(
      `${bold(network)}, ${count(parameters)} parameters, from ${from}; ${plural(classes, "class", "classes")}, named by ${names}`,
    );
    if (others.length > 0) print(`Not taken: ${others.join(", ")}, with weights that would fit too`);
    if (beside.length > 0) {
      const more = beside.length > SHOWN ? ` and ${count(beside.length - SHOWN)} more` : "";
      print(`Left out: ${beside.slice(0, SHOWN).join(", ")}${more}: not part of the network`);
    }
    print(preprocessing);
    print(`Now in ${bold(here(run))}. Try it on an image:  bun run predict IMAGE --model ${here(run)}`);
    return 0;
  },
});
