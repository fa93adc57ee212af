/**
 * A model of a training step on devices that are not at hand: the kernels as they are queued, their arithmetic and
 * traffic, against the roofs of these devices. Nothing is measured.
 *
 *   bun bench/model.ts [MODEL] [--batch 128] [--layers]
 */
import { parseArgs } from "node:util";
import { end, print, say } from "../src/cli/terminal.ts";
import { AlexNetError, UsageError } from "../src/errors.ts";
import { openNetwork } from "../src/net/network_file.ts";
import { modelOf } from "./model/tables.ts";

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { batch: { type: "string", default: "128" }, layers: { type: "boolean", default: false } },
  });
  const images = Number(values.batch);
  if (!Number.isInteger(images) || images < 1)
    throw new UsageError(`--batch ${values.batch}: must be a whole number above 0`);
  const network = await openNetwork(positionals[0] ?? "alexnet");
  print(await modelOf(network, images, values.layers ? "layers" : "kernels"));
  await end(0);
} catch (error) {
  const problem = error instanceof TypeError ? new UsageError(error.message, { cause: error }) : error;
  if (!(problem instanceof AlexNetError)) throw problem;
  say.error(problem.message);
  await end(problem.exitCode);
}
