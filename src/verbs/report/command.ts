import { bold, here, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { report, REPORT_OPTIONS } from "./report.ts";

export default verb({
  description: "Draw the report of a run again: report.html in its folder, which opens offline",
  options: REPORT_OPTIONS,
  async run(options, { json }) {
    const files = await report(options);
    if (json) printJson({ files });
    else for (const file of files) print(bold(here(file)));
  },
});
