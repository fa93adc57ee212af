import { bold, here, plural, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { exportModel, EXPORT_OPTIONS } from "./export.ts";

export default verb({
  description: "Export a trained network as ONNX, as safetensors, or as a page that classifies photos",
  options: EXPORT_OPTIONS,
  async run(options, { json }, context) {
    const exported = await exportModel({ ...options, ...context });
    if (json) return printJson(exported);
    const { network, classes, files } = exported;
    print(`${bold(network)}, ${plural(classes, "class", "classes")}: ${files.map(here).join(", ")}`);
  },
});
