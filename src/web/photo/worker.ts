/** The page's worker: it opens the network and answers, so that the page stays responsive while it computes. */
import { BadImage } from "../../data/image.ts";
import { Rescaler } from "../../data/rescale.ts";
import { AlexNetError, DeviceError } from "../../errors.ts";
import { unshared } from "../../wasm/unshared.ts";
import { openInPage } from "../device.ts";
import { Classifier, openWeights, type Opened } from "./classifier.ts";
import { recordOf } from "./decode.ts";
import type { Answer, DeviceChoice, Reply, Request } from "./messages.ts";
import { unpack } from "./unpack.ts";

type Open = Extract<Request, { type: "open" }>;

const reply = (message: Reply, transfer: Transferable[] = []) => postMessage(message, { transfer });

let opened: Opened;
let kernels: Uint8Array<ArrayBuffer>;
let atLeast: number | undefined;
let rescaler: Rescaler;
let classifier: Classifier;

async function open(request: Open): Promise<void> {
  const [code, weights] = await Promise.all([unpack(request.kernels), unpack(request.weights)]);
  [kernels, opened, atLeast] = [code, openWeights(weights), request.atLeast];
  await openOn(request.device);
  // Resized by WebAssembly on every device, so that they all see the same.
  rescaler = new Rescaler(await WebAssembly.compile(unshared(kernels)), false);
  const { record, crop } = classifier.network;
  // What the first answer would have to wait for is prepared before there is a photo.
  await compute(() => classifier.answer(new Uint8Array(3 * record * record)));
  reply({ type: "opened", device: classifier.device, hasMaps: classifier.hasMaps, seen: crop / record });
}

async function openOn(device: DeviceChoice): Promise<void> {
  classifier = new Classifier(opened, await openInPage({ kernels, device }), atLeast);
}

/** Computes; once more with WebAssembly if the GPU fails. */
async function compute<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DeviceError && classifier.isOnGpu)) throw error;
    await classifier.close();
    await openOn("webassembly");
    reply({ type: "moved", device: classifier.device });
    return work();
  }
}

async function classify({ id, image, map }: Extract<Request, { type: "classify" }>): Promise<void> {
  const start = performance.now();
  const record = await recordOf(image, rescaler, classifier.network).catch((error: Error) => {
    throw error instanceof BadImage ? error : new BadImage(`this browser can't take it: ${error.message}`);
  });
  const found = await compute(() => classifier.answer(record));
  const milliseconds = performance.now() - start;
  const drawn =
    map && classifier.hasMaps ? await compute(() => classifier.map(record, found.classes[0]!.label)) : undefined;
  const answer: Answer = { ...found, milliseconds, record, ...(drawn && { map: drawn }) };
  reply({ type: "answer", id, answer }, [record.buffer]);
}

async function answer(request: Request): Promise<void> {
  try {
    if (request.type === "open") return await open(request);
    if (request.type === "classify") return await classify(request);
    reply({ type: "map", id: request.id, map: await compute(() => classifier.map(request.record, request.label)) });
  } catch (error) {
    if (request.type !== "open" && error instanceof BadImage) {
      reply({ type: "refused", id: request.id, message: error.message });
    } else reply({ type: "failed", message: wordsFor(error) });
  }
}

function wordsFor(error: unknown): string {
  if (error instanceof AlexNetError) return error.message;
  return `This page has failed: ${error instanceof Error ? error.message : String(error)}`;
}

let queue = Promise.resolve();
onmessage = ({ data }: MessageEvent<Request>) => void (queue = queue.then(() => answer(data)));
