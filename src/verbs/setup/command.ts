import { print, printJson, say, table } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { setUp, SETUP_OPTIONS } from "./setup.ts";

export default verb({
  description: "Fetch the libraries that the system lacks, so that nothing else needs a network",
  options: SETUP_OPTIONS,
  async run(options, { json }, context) {
    // Each download is a line that stays.
    const onEvent: typeof context.onEvent = (event) =>
      event.type === "note" ? say.info(event.line) : context.onEvent(event);
    const provided = await setUp({ ...options, ...context, onEvent });
    if (json) for (const each of provided) printJson(each);
    else print(table(provided.map(({ what, path, problem }) => [what, path ?? `missing: ${problem}`])));
    return provided.some(({ problem }) => problem !== undefined) ? 1 : 0;
  },
});
