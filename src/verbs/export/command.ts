import { bold, here, plural, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { exportModel, EXPORT_OPTIONS } from "./export.ts";

export default verb({
  description: "Write a trained network for other programs, with its class names",
  options: EXPORT_OPTIONS,
  async run(options, { json }) {
    const exported = await exportModel(options);
    if (json) return printJson(exported);
    const { network, classes, files } = exported;
    print(`${bold(network)}, ${plural(classes, "class", "classes")}: ${files.map(here).join(", ")}`);
  },
});
