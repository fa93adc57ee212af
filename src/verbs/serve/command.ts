import { bold, count, dim, here, plural, print, printJson, say } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { RUNS } from "../../runs/runs.ts";
import { serve, SERVE_OPTIONS, type Listening, type ServeEvent } from "./serve.ts";

export default verb({
  description: "Classify images over HTTP: a page to drop a photo on, and an interface for programs",
  options: SERVE_OPTIONS,
  finishes: "the requests under way",
  async run({ token = process.env.ALEXNET_TOKEN || undefined, ...options }, { json }, context) {
    const onEvent = (event: ServeEvent) => {
      if (event.type !== "listening") context.onEvent(event);
      else if (json) printJson(event);
      else describe(event, options.run === undefined);
    };
    const served = await serve({ ...options, ...(token !== undefined && { token }), ...context, onEvent });
    if (json) printJson({ type: "stopped", ...served });
    else print(`${plural(served.requests, "request")}, ${plural(served.images, "image")} classified`);
  },
});

function describe({ url, network, weights, origin, classes, device }: Listening, isDefault: boolean): void {
  if (isDefault && origin !== "own") {
    const which = origin === "box" ? "the network in the box" : "a pretrained network";
    say.info(`there is no trained run in ${RUNS}/, so this is ${which}`);
  }
  print(dim(`${network}, ${count(classes)} classes, ${here(weights)}; on ${device}`));
  print(`Drop a photo on ${bold(url)}, or:`);
  print(`  curl -F image=@photo.jpg ${url}classify`);
  print(dim("Ctrl-C answers what is under way, and stops"));
}
