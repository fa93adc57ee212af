/** What comes after a training's last epoch: the best weights are calibrated. */
import { existsSync } from "node:fs";
import { keepCalibration, openWeights } from "../../runs/weights.ts";
import { calibrate, calibrationImages } from "../../training/later/calibrate.ts";
import { passesOf } from "../../training/later/collect.ts";
import type { Session } from "../../training/session.ts";

/**
 * Calibrates the best checkpoint, unless that has been done or there are too few validation images. The model has its
 * weights afterwards.
 * @returns false when it was stopped
 * @throws CheckpointError when the checkpoint is damaged; as `calibrate`
 */
export async function finish(session: Session): Promise<boolean> {
  const { run, model, deviceMean, report, signal } = session;
  if (!existsSync(run.best) || calibrationImages(session) === 0) return true;
  const { checkpoint } = openWeights(run.best);
  const { calibration } = checkpoint;
  if (!calibration) checkpoint.loadInto(model);
  checkpoint.close();
  if (calibration) {
    report({ type: "calibrated", ...calibration });
    return true;
  }
  const calibrated = await calibrate(model, deviceMean, passesOf(session));
  if (!calibrated) return signal?.aborted !== true;
  await keepCalibration(run.best, calibrated);
  report({ type: "calibrated", ...calibrated.calibration });
  return true;
}
