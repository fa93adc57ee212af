/** Trains in a thread of its own, so that the page stays responsive. One worker does one training. */
import { DeviceLostError } from "../../../errors.ts";
import { small } from "../../../net/cifar_networks.ts";
import type { PageDevice } from "../../device.ts";
import { breath, openDevice, wordsOf } from "../worker_port.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { trainWatched } from "./training.ts";

/** Resolved unless the training is held up. */
let go = Promise.withResolvers<void>();
go.resolve();

const tell = (message: FromWorker) => postMessage(message);

async function begin({ seed, device, train = 8000, val = 2000, epochs }: ToWorker & { type: "begin" }): Promise<void> {
  let backend: PageDevice | undefined;
  try {
    backend = await openDevice(device);
    tell({ type: "device", kind: backend.kind, description: backend.description });
    const network = { ...small, recipe: { ...small.recipe, ...(epochs && { epochs }) } };
    const options = { network, seed, train, val, looked: 512, lookEvery: 16, filtersEvery: 4 };
    await trainWatched(backend, options, {
      tell,
      async turn() {
        await breath();
        await go.promise;
      },
    });
    tell({ type: "end" });
  } catch (error) {
    tell({ type: "failed", words: wordsOf(error), isLost: error instanceof DeviceLostError });
  } finally {
    await backend?.close();
  }
}

onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "begin") void begin(data);
  else if (data.type === "resume") go.resolve();
  else go = Promise.withResolvers();
};
