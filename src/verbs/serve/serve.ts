/** Serves a model over HTTP until it is told to stop. */
import { DEVICE_OPTIONS } from "../../devices/open.ts";
import { UsageError } from "../../errors.ts";
import { load, LOAD_OPTIONS } from "../../inference/classifier.ts";
import { option, setting } from "../../option_names.ts";
import { given } from "../../options.ts";
import { working, type Context, type Notice } from "../../ranks/context.ts";
import { numberThat, rule, wholeFromTo } from "../../rules.ts";
import { count, number, text, type OptionsOf } from "../../schema.ts";
import { isLoopback } from "../shared/local_http.ts";
import { openServer } from "./server.ts";

/** The year of the paper. */
const PORT = 2012;
const HOST = "127.0.0.1";
const [MAX_BODY, TIMEOUT, QUEUE] = [20, 30, 64];
const MEGABYTE = 2 ** 20;

export const SERVE_OPTIONS = {
  /** A run, a weights file, or a pretrained network; by default as for `predict`. */
  run: text("A run, a .safetensors file or a pretrained network (as predict chooses)", { place: "word" }),
  /** The address to listen on. */
  host: text(`The address to listen on; one that others reach needs a token (${HOST})`, { hint: "ADDRESS" }),
  /** The port to listen on, 0 for any free one. */
  port: number(`The port to listen on, 0 for any free one (${PORT})`, { hint: "N", rule: wholeFromTo(0, 65535) }),
  /** What requests must bring in their Authorization header, after "Bearer". */
  token: text("What requests must bring as Authorization: Bearer TOKEN; or in the variable ALEXNET_TOKEN", {
    hint: "TOKEN",
    rule: rule((value) => /^[\x21-\x7e]{16,}$/.test(String(value)), "16 or more visible characters, without spaces"),
  }),
  /** The most megabytes (2^20 bytes) of a request's body. */
  maxBody: number(`The most megabytes of a request (${MAX_BODY})`, {
    ...{ hint: "MB", rule: numberThat((value) => value > 0 && value <= 512, "a number above 0, up to 512") },
  }),
  /** The most seconds that a request may take, from its arrival to its answer. */
  timeout: number(`The most seconds that a request may take (${TIMEOUT})`, {
    ...{ hint: "S", rule: numberThat((value) => value > 0 && value <= 240, "a number above 0, up to 240") },
  }),
  /** How many requests may be read or classified at the same time; others are told to come back. */
  queue: count(`The most requests under way; more are told to come back (${QUEUE})`, { hint: "N" }),
  /** The most images that the device computes at once. */
  batch: LOAD_OPTIONS.batch,
  ...DEVICE_OPTIONS,
};

export interface ServeOptions extends OptionsOf<typeof SERVE_OPTIONS> {}

export interface Listening {
  readonly type: "listening";
  readonly url: string;
  readonly network: string;
  readonly weights: string;
  readonly origin: "own" | "box" | "pretrained";
  readonly classes: number;
  readonly device: string;
}

export type ServeEvent = Notice | Listening;

/** What a server has done. */
export interface Served {
  readonly requests: number;
  readonly images: number;
}

/**
 * Classifies the images that are sent to it, until `signal` is aborted; then it answers what is under way.
 * @throws UsageError, CheckpointError, DataError, DeviceError when it can't begin
 */
export async function serve(call: ServeOptions & Context<ServeEvent> = {}): Promise<Served> {
  const { options, report, signal, note, warn } = working("serve", call, SERVE_OPTIONS);
  const { run, host = HOST, port = PORT, token, maxBody = MAX_BODY, timeout = TIMEOUT, queue = QUEUE } = options;
  if (!isLoopback(host) && token === undefined) {
    throw new UsageError(
      `${setting("host", host)}: others could send images there: add ${option("token")}, 16 characters or more`,
    );
  }
  const { device, blas, threads, tune, batch } = options;
  await using model = await load(run, { fetch: true, note, ...given({ device, blas, threads, tune, batch }) });
  const settings = { host, port, token, maxBytes: maxBody * MEGABYTE, timeoutMs: 1000 * timeout, queue, warn };
  await using server = openServer(model, settings);
  note(`Warming up ${model.network}`);
  await model.warmUp();
  const { network, weights, origin } = model;
  const facts = { network, weights, origin, classes: model.classes.length, device: model.device };
  report({ type: "listening", url: server.url, ...facts });
  await aborted(signal);
  await server.stop();
  const { requests, images } = server.metrics;
  return { requests, images };
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (signal.aborted) resolve();
  return promise;
}
