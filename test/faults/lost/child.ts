/**
 * Loses the device at one point, and prints the outcome. Run by `../lost.test.ts` on the driver of `driver.c`, in a
 * process of its own, which failures would end.
 */
import { rmSync, writeFileSync } from "node:fs";
import { openWgpu, type WgpuBackend } from "../../../src/devices/wgpu/backend.ts";
import { kernel } from "../../../src/engine/kernel.ts";
import { reluForward } from "../../../src/engine/ops/activation.ts";
import { train, trainWatched } from "../../../src/verbs/train/train.ts";
import { tiny } from "../../support/cli.ts";

const [point = "", folder = ""] = process.argv.slice(2);
const SIZE = 64;

/** Makes the driver lose its device. */
const lose = () => writeFileSync(process.env.LOSE_FILE!, "");

/** A kernel with a variant; the device is lost while it is timed. */
const losing = kernel({
  ...reluForward,
  variants: [
    {
      ...reluForward,
      workgroups(uniforms) {
        lose();
        return reluForward.workgroups(uniforms);
      },
    },
  ],
});

/** What a backend does after its device is lost. */
const points: Record<string, (gpu: WgpuBackend, run: (which?: typeof reluForward) => void) => unknown> = {
  synchronize: (gpu) => (lose(), gpu.synchronize()),
  read: (gpu) => (lose(), gpu.read(gpu.allocate("f32", SIZE))),
  write: (gpu) => (lose(), gpu.write(gpu.allocate("f32", SIZE), new Float32Array(SIZE)), gpu.synchronize()),
  flush: (gpu, run) => (lose(), run(), gpu.flush()),
  profile: (gpu, run) => gpu.profile(() => (run(), lose(), run())),
  tune: (_, run) => run(losing),
  close: (gpu) => (lose(), gpu.close()),
};

async function loseAt(point: string, timestamps: boolean): Promise<void> {
  const gpu = await openWgpu({ adapter: 0, tune: point === "tune", tuningFolder: folder, timestamps });
  const [x, y] = [gpu.allocate("f32", SIZE), gpu.allocate("f32", SIZE)];
  const run = (which = reluForward) => gpu.run(which, { x, y }, { size: SIZE });
  run();
  await gpu.synchronize();
  run();
  gpu.flush();
  try {
    await points[point]!(gpu, run);
    console.log("no error");
  } catch (error) {
    console.log((error as Error).name);
  }
  await gpu.close();
}

/** Trains twice, the second time losing the device in the second epoch. */
async function loseInTraining(): Promise<void> {
  const { threads: _, ...rest } = tiny;
  const options = { ...rest, data: `${folder}/photos`, device: "gpu:0", tune: false, batch: 8, epochs: 3 };
  await train({ ...options, out: `${folder}/whole` });
  let steps = 0;
  const watcher = { afterStep: async () => void (++steps === 5 && lose()) };
  const report = (event: { type: string; line?: string }) => void (event.type === "warning" && console.log(event.line));
  await trainWatched({ ...options, out: `${folder}/lost`, onEvent: report }, [watcher]);
}

rmSync(process.env.LOSE_FILE!, { force: true });
if (point === "train") await loseInTraining();
else await loseAt(point, process.argv[4] === "timestamps");
