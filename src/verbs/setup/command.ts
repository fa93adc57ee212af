import { print, printJson, say, table } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { setUp, SETUP_OPTIONS } from "./setup.ts";

export default verb({
  description: "Fetch the libraries that the system lacks, so that nothing else needs a network",
  options: SETUP_OPTIONS,
  async run(options, { json }, context) {
    // Each download is a line that stays.
    const report: typeof context.report = (event) =>
      event.type === "note" ? say.info(event.line) : context.report(event);
    const provided = await setUp(options, { ...context, report });
    if (json) for (const each of provided) printJson(each);
    else print(table(provided.map(({ what, path, problem }) => [what, path ?? `missing: ${problem}`])));
    return provided.some(({ problem }) => problem !== undefined) ? 1 : 0;
  },
});
