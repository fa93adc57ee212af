/** Answers HTTP requests with a model's classifications. */
import { DataError, oneLine, UsageError } from "../../errors.ts";
import { CLASSIFY_OPTIONS, type Classification } from "../../inference/classification.ts";
import { html, STYLE } from "../../pictures/page.ts";
import { kebab, setting } from "../../option_names.ts";
import type { OptionsOf, Schema } from "../../schema.ts";
import { count } from "../../words.ts";
import { cantListen, HEADERS, isLoopback, isOwnHost, isSameToken, servePage } from "../shared/local_http.ts";
import { Metrics } from "./metrics.ts";
import { openApi } from "./openapi.ts";
import imported from "./page.html" with { type: "text" };
import { Refusal } from "./refusal.ts";
import { imageOf } from "./upload.ts";

// Bun's types know HTML files only as bundles, whatever the import attribute says.
const page = imported as unknown as string;

type AnswerOptions = OptionsOf<typeof CLASSIFY_OPTIONS>;

/** What the server needs of a `Classifier`. */
export interface Answering {
  readonly network: string;
  readonly classes: readonly string[];
  readonly device: string;
  readonly waiting: number;
  readonly batches: number;
  classify(image: Uint8Array, options: AnswerOptions & { readonly signal: AbortSignal }): Promise<Classification>;
}

export interface ServerSettings {
  /** The address to listen on, and the port, 0 for any free one. */
  readonly host: string;
  readonly port: number;
  /** What requests must bring. */
  readonly token?: string | undefined;
  /** The largest body. */
  readonly maxBytes: number;
  /** The time that a request may take. */
  readonly timeoutMs: number;
  /** How many requests may be under way. */
  readonly queue: number;
  /** Told of failures that are not the sender's. */
  readonly warn: (line: string) => void;
}

export interface ClassifyServer extends AsyncDisposable {
  readonly url: string;
  readonly metrics: Metrics;
  /** Takes no more requests, answers those that are under way, and closes. */
  stop(): Promise<void>;
}

interface Route {
  readonly method: "GET" | "POST";
  /** Whether it is answered without the token: it says nothing about images. */
  readonly isOpen?: boolean;
  answer(request: Request, query: URLSearchParams, arrived: number): Response | Promise<Response>;
}

/** How long idle connections stay open beyond the time that a request may take, in seconds. */
const IDLE_SECONDS = 10;
/** What a full queue has to be waited for: at least a batch is done then. */
const RETRY = { "retry-after": "1" };
/** What nginx logs for a sender that has gone; nobody receives it. */
const GONE = 499;

/** Calls a function later, as `setTimeout` does. */
type After = (call: () => void, ms: number) => ReturnType<typeof setTimeout>;

/**
 * @param after measures the time that a request may take
 * @throws UsageError when the address can't be listened on
 */
export function openServer(model: Answering, settings: ServerSettings, after: After = setTimeout): ClassifyServer {
  const { host, token, maxBytes, timeoutMs, queue, warn } = settings;
  const metrics = new Metrics();
  let underWay = 0;
  let state: "ok" | "failed" | "stopping" = "ok";

  const classify = async (request: Request, query: URLSearchParams, arrived: number): Promise<Response> => {
    const options = optionsIn(query);
    if (state === "stopping") throw new Refusal(503, "the server is stopping", RETRY);
    if (underWay >= queue) {
      throw new Refusal(503, `${queue} requests are under way, the most at once: try again`, RETRY);
    }
    const stop = new AbortController();
    let late = new Refusal(408, `the image did not arrive within ${timeoutMs / 1000} s`);
    const timer = after(() => stop.abort(late), timeoutMs);
    const leave = () => stop.abort(new Refusal(GONE, "the sender has gone"));
    request.signal.addEventListener("abort", leave, { once: true });
    underWay++;
    try {
      const image = await imageOf(request, maxBytes, stop.signal);
      late = new Refusal(504, `the image was not classified within ${timeoutMs / 1000} s`);
      const found = await model.classify(image, { ...options, signal: stop.signal });
      if (state === "failed") state = "ok";
      const ms = performance.now() - arrived;
      metrics.classified(ms / 1000);
      return json({ ...found, milliseconds: Math.round(10 * ms) / 10 });
    } finally {
      underWay--;
      clearTimeout(timer);
      request.signal.removeEventListener("abort", leave);
    }
  };

  const routes: Readonly<Record<string, Route>> = {
    "/": { method: "GET", isOpen: true, answer: () => servePage(pageOf(model), "blob:") },
    "/classify": { method: "POST", answer: classify },
    "/health": {
      ...{ method: "GET", isOpen: true },
      answer: () => json({ status: state }, state === "ok" ? 200 : 503),
    },
    "/metrics": {
      method: "GET",
      answer() {
        const text = metrics.text({ underWay, waiting: model.waiting, batches: model.batches });
        return new Response(text, { headers: { ...HEADERS, "content-type": "text/plain; version=0.0.4" } });
      },
    },
    "/openapi.json": { method: "GET", isOpen: true, answer: () => json(openApi(token !== undefined)) },
  };

  const respond = async (request: Request, url: URL | null, arrived: number): Promise<Response> => {
    // An invalid Host header makes the URL unparsable.
    if (!url || !isFromHere(request, url)) throw new Refusal(403, "this server answers only to its own name and page");
    const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname]! : undefined;
    if (!route) throw new Refusal(404, `there is no ${url.pathname}; there are ${Object.keys(routes).join(", ")}`);
    const method = request.method === "HEAD" ? "GET" : request.method;
    if (method !== route.method) {
      throw new Refusal(405, `${url.pathname} takes ${route.method}`, { allow: route.method });
    }
    if (token !== undefined && !route.isOpen && !hasToken(request, token)) {
      throw new Refusal(401, "the token is missing or wrong: Authorization: Bearer TOKEN", {
        "www-authenticate": "Bearer",
      });
    }
    return route.answer(request, url.searchParams, arrived);
  };

  /** Elsewhere the token keeps others out, and the server may have any name. */
  const isFromHere = ({ headers }: Request, url: URL): boolean => {
    if (!isLoopback(host)) return true;
    const [name, origin] = [headers.get("host") ?? url.host, headers.get("origin")];
    return isOwnHost(name, server.port!) && (origin === null || origin === `http://${name}`);
  };

  const answer = async (request: Request): Promise<Response> => {
    const arrived = performance.now();
    const url = URL.parse(request.url);
    const path = url && Object.hasOwn(routes, url.pathname) ? url.pathname : "other";
    const response = await respond(request, url, arrived).catch((error: unknown) => {
      const refused = refusalOf(error);
      if (refused.status === 500) {
        if (state === "ok") state = "failed";
        warn(oneLine(error instanceof Error ? error.message : String(error)));
      }
      return json({ error: refused.message }, refused.status, refused.headers);
    });
    metrics.answered(path, response.status);
    if (state === "stopping") response.headers.set("connection", "close");
    return response;
  };

  const server = listen(settings, answer);
  const stop = async () => {
    state = "stopping";
    void server.stop();
    // Answers that have been given are still being sent.
    while (underWay > 0 || server.pendingRequests > 0) await Bun.sleep(5);
    await server.stop(true);
  };
  const shown = host.includes(":") ? `[${host}]` : host;
  return { url: `http://${shown}:${server.port}/`, metrics, stop, [Symbol.asyncDispose]: stop };
}

function listen({ host, port, timeoutMs }: ServerSettings, fetch: (request: Request) => Promise<Response>) {
  try {
    return Bun.serve({
      ...{ hostname: host, port, fetch, development: false },
      idleTimeout: Math.ceil(timeoutMs / 1000) + IDLE_SECONDS,
      // Too large a body is refused by `imageOf`, in words; Bun does not keep what nobody reads.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    });
  } catch (error) {
    throw cantListen(`${setting("host", host)}, ${setting("port", port)}`, error);
  }
}

/** The options in a query. @throws Refusal */
function optionsIn(query: URLSearchParams): AnswerOptions {
  const schema: Schema = CLASSIFY_OPTIONS;
  const keys = new Map(Object.keys(schema).map((key) => [kebab(key), key]));
  const options: Record<string, unknown> = {};
  for (const [name, word] of query) {
    const key = keys.get(name);
    if (key === undefined) {
      throw new Refusal(400, `there is no parameter "${name}"; there are ${[...keys.keys()].join(", ")}`);
    }
    try {
      options[key] = schema[key]!.parse(word, name);
    } catch (error) {
      throw error instanceof UsageError ? new Refusal(400, error.message) : error;
    }
    const problem = schema[key]!.rule?.(options[key]);
    if (problem !== undefined) throw new Refusal(400, `${name}${problem}`);
  }
  return options;
}

function hasToken({ headers }: Request, token: string): boolean {
  const [, given] = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "") ?? [];
  return given !== undefined && isSameToken(given, token);
}

/** The model's name and classes are of the file that was loaded: they go into the page as text. */
function pageOf({ network, classes, device }: Answering): string {
  const subtitle = html`${[network, `${count(classes.length)} classes`, device].join(" · ")}`.markup;
  return page.replace("{{style}}", () => STYLE).replace("{{subtitle}}", () => subtitle);
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof DataError) return new Refusal(400, error.message);
  return new Refusal(500, "the image could not be classified; the server's terminal says why");
}

function json(value: object, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(value, { status, headers: { ...HEADERS, ...headers } });
}
