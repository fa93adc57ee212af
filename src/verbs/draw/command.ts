import { bold, here, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { draw, DRAW_OPTIONS } from "./draw.ts";

export default verb({
  description:
    "Draw a trained network: its filters, its training curves, its activations for an image, or which part of the image matters",
  options: DRAW_OPTIONS,
  async run(options, { json }, context) {
    const drawn = await draw({ ...options, ...context });
    if (json) printJson(drawn);
    else print(bold(here(drawn.file)));
  },
});
