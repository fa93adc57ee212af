import { bold, here, plural, print, printJson } from "../../cli/terminal.ts";
import { given, verb } from "../../cli/verb.ts";
import { exportModel } from "./export.ts";

export default verb({
  name: "export",
  description: "Write a trained network for other programs, with its class names",
  args: {
    run: { type: "positional", required: false, description: "A run or a checkpoint file (the newest run)" },
    as: { type: "string", description: "onnx or safetensors (as --out ends)", valueHint: "KIND" },
    out: { type: "string", description: "The file to write (MODEL.KIND)", valueHint: "FILE" },
    logits: { type: "boolean", description: "ONNX without the softmax at the end" },
  },
  async run(args) {
    const options = given({ model: args.run, as: args.as, out: args.out, logits: args.logits });
    const exported = await exportModel(options);
    if (args.json) printJson(exported);
    else
      print(
        `${bold(exported.network)}, ${plural(exported.classes, "class", "classes")}: ${exported.files.map(here).join(", ")}`,
      );
    return 0;
  },
});
