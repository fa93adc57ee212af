import { bold, here, print, printJson } from "../../cli/terminal.ts";
import { given, verb } from "../../cli/verb.ts";
import { report } from "./report.ts";

export default verb({
  name: "report",
  description: "Draw the page of a run anew: report.html in its folder, which opens without a network",
  args: {
    run: { type: "positional", required: false, description: "A run: its folder, or nothing for the newest" },
    csv: { type: "boolean", description: "Write the log as a table too, log.csv" },
  },
  async run(args) {
    const files = await report(given({ run: args.run, csv: args.csv }));
    if (args.json) printJson({ files });
    else for (const file of files) print(bold(here(file)));
    return 0;
  },
});
