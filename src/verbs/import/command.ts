import { bold, count, here, plural, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { command } from "../../program.ts";
import { importWeights, IMPORT_OPTIONS } from "./import.ts";

/** More tensors than this are only counted. */
const SHOWN = 5;

export default verb({
  description: "Import weights of PyTorch, safetensors, Caffe or NumPy into a run folder",
  options: IMPORT_OPTIONS,
  async run(options, { json }, context) {
    const imported = await importWeights({ ...options, ...context });
    if (json) return printJson(imported);
    const { run, network, parameters, format, place, others, beside, classes, names, preprocessing } = imported;
    const from = place === "" ? format : `${format} (${place})`;
    print(
      `${bold(network)}, ${count(parameters)} parameters, from ${from}; ${plural(classes, "class", "classes")}, named by ${names}`,
    );
    if (others.length > 0) print(`Not used: ${others.join(", ")}, whose weights would fit too`);
    if (beside.length > 0) {
      const more = beside.length > SHOWN ? ` and ${count(beside.length - SHOWN)} more` : "";
      print(`Left out: ${beside.slice(0, SHOWN).join(", ")}${more}: not part of the network`);
    }
    print(preprocessing);
    print(`Now in ${bold(here(run))}. Try it on an image:  ${command("predict IMAGE --model", here(run))}`);
  },
});
