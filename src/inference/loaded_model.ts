/** Opens the trained network of a run or file, loads it onto a device, and finds the images it was trained on. */
import type { Dataset } from "../data/dataset.ts";
import { divide } from "../data/inventory.ts";
import type { Opened } from "../data/open.ts";
import { openSets, openWhole, reduceSets } from "../data/select.ts";
import type { Backend } from "../engine/backend.ts";
import { checkFit, lackOf, type Work } from "../net/fit.ts";
import { Model } from "../net/model.ts";
import { uploadMean } from "../net/passes.ts";
import type { Network } from "../net/recipe.ts";
import { compareWithRun, requireData } from "../runs/recorded.ts";
import { findWeights, openWeights, type Weights } from "../runs/weights.ts";
import type { Checkpoint } from "../weights/checkpoint.ts";
import type { Member } from "./member.ts";

export interface Trained extends Disposable {
  readonly weights: Weights;
  readonly checkpoint: Checkpoint;
  readonly network: Network;
  /** Class names, in the order of the outputs. */
  readonly classes: readonly string[];
  /** @param batch if given, checked to fit the device @throws DeviceError when it does not; CheckpointError */
  load(backend: Backend, batch?: number): Member;
}

const workOf = ({ network, classes }: Pick<Trained, "network" | "classes">): Work => ({
  ...{ network, classes: classes.length, kind: "evaluating" },
});

/** How many images to compute at once if nobody says: `most`, halved until the device can hold them in each model. */
export function usualBatch(trained: readonly Trained[], most: number, backend: Backend): number {
  let batch = most;
  while (batch > 1 && trained.some((each) => lackOf(workOf(each), batch, backend) !== undefined)) {
    batch = Math.ceil(batch / 2);
  }
  return batch;
}

interface TrainedSets extends Opened {
  /** If images of the run have changed: what has changed, and what is used; for people. */
  readonly changes?: string;
}

/**
 * Opens `data`, or by default the sets that the model was trained and validated on, as far as they still exist.
 * @throws DataError, UsageError or CheckpointError
 */
export async function setsFor(
  data: string | Dataset | undefined,
  { weights }: Trained,
  onProgress: (line: string) => void,
): Promise<TrainedSets> {
  if (data !== undefined) return openSets({ data, val: null, holdOut: 0, seed: 0 }, onProgress);
  const config = weights.config();
  if (weights.run) requireData(weights.run, config);
  await using opened = new AsyncDisposableStack();
  const whole = opened.use(await openWhole(config, onProgress));
  const kept = weights.run && (await compareWithRun(weights.run, config, whole, onProgress));
  const sets = kept?.division ? divide(whole, kept.division) : reduceSets(whole, config);
  // The sets read from the same open files.
  opened.move();
  if (!kept?.division || kept.changes === null) return sets;
  return { ...sets, changes: `${kept.changes}: using the run's remaining images, divided as before` };
}

/**
 * Opens the weights of a run, a file or a pretrained network; by default as `findWeights` says.
 * @param note called with a line about each download
 * @param mayFetch whether a pretrained network that is missing is fetched
 * @throws UsageError, CheckpointError, or DataError when a pretrained network can't be fetched
 */
export async function openTrained(name?: string, note?: (line: string) => void, mayFetch?: boolean): Promise<Trained> {
  const weights = await findWeights(name, note, mayFetch);
  const { checkpoint, network } = openWeights(weights.path);
  const { classes } = checkpoint;
  return {
    weights,
    checkpoint,
    network,
    classes,
    load(backend, batch) {
      if (batch !== undefined) checkFit(workOf({ network, classes }), batch, backend);
      const model = new Model(network, backend, classes.length);
      checkpoint.loadInto(model);
      const temperature = checkpoint.calibration?.temperature;
      return { model, mean: uploadMean(backend, network.record, checkpoint.mean), ...(temperature && { temperature }) };
    },
    [Symbol.dispose]: checkpoint.close,
  };
}
