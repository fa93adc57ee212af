import { sayRemarks } from "../../cli/remarks.ts";
import { bold, count, here, print, printJson, say } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { look, LOOK_OPTIONS } from "./look.ts";

/** More warnings than this are only counted. */
const MAX_WARNINGS = 10;

export default verb({
  description: "Draw what a network will see of a data set, to check it at a glance",
  options: LOOK_OPTIONS,
  finishes: "this step",
  async run(options, { json }, context) {
    const result = await look({ ...options, ...context });
    if (json) return printJson(result);
    const { file, width, height, bytes, remarks, warnings } = result;
    sayRemarks(remarks);
    for (const warning of warnings.slice(0, MAX_WARNINGS)) say.warn(warning);
    if (warnings.length > MAX_WARNINGS) say.warn(`and ${count(warnings.length - MAX_WARNINGS)} more`);
    print(`${bold(here(file))}: ${width} × ${height} pixels, ${count(Math.ceil(bytes / 1024))} KiB`);
  },
});
