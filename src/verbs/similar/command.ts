import { printRemarks, sayRemarks } from "../../cli/remarks.ts";
import { bold, count, dim, here, label, plural, print, printJson, say, table } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { similar, SIMILAR_OPTIONS, type Similar, type SimilarEvent } from "./similar.ts";

export default verb({
  description: "Find the most similar images in a set, by a trained model's activations",
  options: SIMILAR_OPTIONS,
  finishes: "this batch",
  prints: ({ out }) => out === undefined,
  async run(options, { json }, context) {
    let failures = 0;
    const show = (one: Similar) => {
      if ("error" in one) failures++;
      if (json) printJson(one);
      else if ("error" in one) say.error(`${one.image}: ${one.error}`);
      else print(describe(one));
    };
    const onEvent = (event: SimilarEvent) => {
      if (event.type === "similar") show(event.similar);
      else if (event.type !== "index") context.onEvent(event);
      else if (!json) {
        const megabytes = count(Math.ceil(event.bytes / 1e6));
        say.info(`building an index of ${plural(event.images, "image")}, ${megabytes} MB, in ${event.folder}`);
      }
    };
    const result = await similar({ ...options, ...context, onEvent });
    (json ? printRemarks : sayRemarks)(result.remarks);
    if (!json) {
      const { network, weights, layer, images, data, picture, changes } = result;
      if (changes) say.warn(changes);
      print(dim(`by ${layer} of ${network}, ${here(weights)}; ${plural(images, "image")} of ${label(data)}`));
      if (picture) print(bold(here(picture)));
    }
    return failures > 0 ? 1 : 0;
  },
});

function describe({ image, neighbours }: Extract<Similar, { neighbours: unknown }>): string {
  const rows = neighbours.map((each) => [
    String(Number(each.distance.toPrecision(4))),
    label(each.class),
    label(here(each.image)),
  ]);
  const found = table(rows, [0]).split("\n");
  return [bold(label(image)), ...found.map((row) => `  ${row}`)].join("\n");
}
