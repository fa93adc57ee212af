/** What a training said of its steps. */
import { jsonLines } from "./cli.ts";

/**
 * The losses of the single steps, out of the means over the images of an epoch so far that are told.
 * @param images of an epoch, where its last batch is not full: the batches before have `batch`
 */
export function stepLosses(stdout: string, batch = 1, images = Infinity): number[] {
  const steps = jsonLines(stdout).filter(({ type }) => type === "step");
  const sums = steps.map((step) => step.loss * Math.min(step.batch * batch, images));
  return sums.map((sum, i) => {
    const isFirst = steps[i]!.batch === 1;
    const seen = Math.min(steps[i]!.batch * batch, images) - (isFirst ? 0 : (steps[i]!.batch - 1) * batch);
    return (sum - (isFirst ? 0 : sums[i - 1]!)) / seen;
  });
}
