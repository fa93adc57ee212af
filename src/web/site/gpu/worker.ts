/** Checks and measures a device in a thread of its own. One worker does it once. */
import type { Backend } from "../../../engine/backend.ts";
import { AlexNetError, DeviceLostError } from "../../../errors.ts";
import { openDevice, wordsOf } from "../worker_port.ts";
import { measure } from "./bench.ts";
import { checkAllKernels } from "./check.ts";
import { factsOf, isMobile } from "./facts.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** With the check of the kernels, a report takes two to three minutes. */
const SECONDS = 100;

const tell = (message: FromWorker) => postMessage(message);

let during = "opening the device";

async function examine({ device, kernels = "", seconds = SECONDS }: ToWorker): Promise<void> {
  const { backend, noGpu } = await open(device);
  try {
    tell({ type: "facts", ...(await factsOf(backend, noGpu)) });
    const start = performance.now();
    const checked = await checkAllKernels(backend, kernels, (kernel, done, total) => {
      during = `checking ${kernel}`;
      tell({ type: "checking", kernel, done, total });
    });
    tell({ type: "checked", ...checked, seconds: (performance.now() - start) / 1000 });
    const began = performance.now();
    const options = { backend, isMobile: isMobile(), seconds, isTrial: kernels !== "" };
    await measure(options, {
      working(what) {
        during = `measuring ${what}`;
        tell({ type: "measuring", what, share: Math.min(1, (performance.now() - began) / 1000 / seconds) });
      },
      roof: (roof) => tell({ type: "roof", roof }),
      row: (row) => tell({ type: "row", row: { ...row, ms: { ...row.ms, samples: [] } } }),
      skipped: (skipped) => tell({ type: "skipped", skipped }),
    });
    tell({ type: "end" });
  } finally {
    await backend.close();
  }
}

/** A GPU or, where the page gets none, WebAssembly. */
async function open(device: ToWorker["device"]): Promise<{ backend: Backend; noGpu?: string }> {
  if (device === "webassembly") return { backend: await openDevice(device) };
  try {
    // A software GPU too, unlike elsewhere: its kernels are worth a check.
    return { backend: await openDevice("webgpu") };
  } catch (error) {
    if (!(error instanceof AlexNetError)) throw error;
    return { backend: await openDevice("webassembly"), noGpu: error.message };
  }
}

onmessage = ({ data }: MessageEvent<ToWorker>) => {
  examine(data).catch((error: unknown) => {
    tell({ type: "failed", words: wordsOf(error), during, isLost: error instanceof DeviceLostError });
  });
};
