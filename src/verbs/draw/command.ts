import { bold, here, print, printJson, ProgressLine } from "../../cli/terminal.ts";
import { deviceArgs, deviceOptions, given, verb } from "../../cli/verb.ts";
import { draw, DRAWINGS } from "./draw.ts";

export default verb({
  name: "draw",
  description:
    "Draw a trained network: its filters, its curves, what its layers make of an image, what part of it decides",
  args: {
    what: { type: "positional", required: true, description: DRAWINGS.join(", ") },
    image: { type: "positional", required: false, description: "For activations and occlusion: an image file, or -" },
    model: { type: "string", description: "A run or a .safetensors file (the newest run)", valueHint: "RUN" },
    class: {
      type: "string",
      description: "What occlusion watches the probability of (the most probable class)",
      valueHint: "NAME",
    },
    out: { type: "string", description: "The PNG file to write (filters.png, …)", valueHint: "FILE" },
    ...deviceArgs,
  },
  async run(args) {
    const line = new ProgressLine();
    const options = given({ image: args.image, model: args.model, class: args.class, out: args.out });
    const drawn = await draw({ what: args.what, ...options, ...deviceOptions(args) }, (words) => line.update(words));
    line.clear();
    if (args.json) printJson(drawn);
    else print(bold(here(drawn.file)));
    return 0;
  },
});
