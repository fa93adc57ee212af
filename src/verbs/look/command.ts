import { stopOnCtrlC } from "../../cli/interrupt.ts";
import { sayRemarks } from "../../cli/remarks.ts";
import { bold, count, here, print, printJson, ProgressLine, say } from "../../cli/terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "../../cli/verb.ts";
import { unlessStopped } from "../../signals.ts";
import { look } from "./look.ts";

/** More warnings than this are counted only. */
const MAX_WARNINGS = 10;

export default verb({
  name: "look",
  description: "Draw what a net will see of a data set: a picture that shows in ten seconds whether it is right",
  args: {
    data: {
      type: "positional",
      required: false,
      description: "What `train` is given; without it the set that the program draws itself",
    },
    val: { type: "string", description: "What to validate with, as for `train`", valueHint: "PATH" },
    model: { type: "string", description: "Whose crops and augmentation; as `train` chooses", valueHint: "NAME" },
    augment: { type: "string", description: "As for `train` (the model's own)", valueHint: "WHAT" },
    seed: { type: "string", description: "Chooses the images and how they are varied (0)", valueHint: "N" },
    images: { type: "string", description: "How many images, a row each (8)", valueHint: "N" },
    out: { type: "string", description: "The PNG file to write (look.png)", valueHint: "FILE" },
    ...deviceArgs,
    device: { ...deviceArgs.device, description: "What augments the images, as for `train` (cpu)" },
  },
  async run(args) {
    const line = new ProgressLine();
    const options = given({
      data: args.data,
      val: args.val,
      model: args.model,
      augment: args.augment,
      seed: number("seed", args.seed),
      images: number("images", args.images),
      out: args.out,
    });
    const signal = stopOnCtrlC();
    const result = await unlessStopped(
      signal,
      look({ ...options, ...deviceOptions(args) }, (text) => line.update(text), signal),
    );
    line.clear();
    if (!result) return 1;
    if (args.json) {
      printJson(result);
      return 0;
    }
    const { file, width, height, bytes, remarks, warnings } = result;
    sayRemarks(remarks);
    for (const warning of warnings.slice(0, MAX_WARNINGS)) say.warn(warning);
    if (warnings.length > MAX_WARNINGS) say.warn(`and ${count(warnings.length - MAX_WARNINGS)} more`);
    print(`${bold(here(file))}: ${width} × ${height} pixels, ${count(Math.ceil(bytes / 1024))} KiB`);
    return 0;
  },
});
