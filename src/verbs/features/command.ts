import { sayRemarks } from "../../cli/remarks.ts";
import { bold, count, dim, here, label, print, printJson, say } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { features, FEATURES_OPTIONS, type Features } from "./features.ts";

export default verb({
  description: "Write a layer's activations for every image of a set, as a NumPy array with a row per image",
  options: FEATURES_OPTIONS,
  isShared: true,
  finishes: "this batch",
  async run(options, { json }, context) {
    const result = await features({ ...options, ...context });
    if (context.ranks.rank !== 0) return;
    if (json) printJson(result);
    else show(result);
  },
});

function show(result: Features): void {
  const { file, table, images, size, layer, network, weights, data, imagesPerSecond, bad, changes } = result;
  sayRemarks(result.remarks);
  if (changes) say.warn(changes);
  for (const each of bad.slice(0, 10)) say.warn(`skipped ${each}`);
  if (bad.length > 10) say.warn(`and ${count(bad.length - 10)} more`);
  print(
    `${bold(here(file))}: ${count(images)} × ${count(size)} numbers, ${layer} of ${network}; ${here(table)} names the rows`,
  );
  print(dim(`${label(data)}, by ${here(weights)}, ${imagesPerSecond.toFixed(0)} images/s on ${result.device}`));
}
