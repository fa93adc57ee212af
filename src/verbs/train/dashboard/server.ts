/**
 * Serves a page that shows a training as it runs, to this machine only. Requests need the random token in the page's
 * address, and a local Host header, which protects from DNS rebinding by another site.
 */
import { randomBytes } from "node:crypto";
import { oneLine, UsageError } from "../../../errors.ts";
import { LIGHT, chartsOf } from "../../../pictures/charts.ts";
import { echartsScript } from "../../../pictures/echarts_script.ts";
import { STYLE } from "../../../pictures/page.ts";
import type { Report } from "../../../training/events.ts";
import type { Session, Watcher } from "../../../training/session.ts";
import { cantListen, HEADERS, isOwnHost, isSameToken, servePage } from "../../shared/local_http.ts";
import { Gate } from "./gate.ts";
import imported from "./page.html" with { type: "text" };
import { Snapshots } from "./snapshots.ts";
import { DashboardState } from "./state.ts";

// Bun's types know HTML files only as bundles, whatever the import attribute says.
const page = imported as unknown as string;

export interface Dashboard extends AsyncDisposable {
  readonly url: string;
  /** To pass to `train`, as is the signal. */
  readonly watcher: Watcher;
  readonly signal: AbortSignal;
  /** Wraps a report: the dashboard sees its events too. */
  watch(report: Report): Report;
  /** Tells the page that the training ended with an error. */
  fail(error: unknown): void;
  /** Tells the page how the training ended, and closes. */
  close(): Promise<void>;
}

/**
 * Serves the page on 127.0.0.1.
 * @param port 0 for any free one
 * @param now the time in ms, which decides how often pictures are drawn
 * @throws UsageError when the port is taken or invalid
 */
export function openDashboard(port = 0, now = () => performance.now()): Dashboard {
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw new UsageError(`--dashboard ${port}: must be a port, a whole number from 0 to 65535`);
  }
  const token = randomBytes(16).toString("hex");
  const [shown, gate, snapshots] = [new DashboardState(now), new Gate(), new Snapshots(now)];
  const state = (query: URLSearchParams): Response => {
    snapshots.wanted();
    const known = { charts: shown.version, ...snapshots.versions };
    const isNew = (part: keyof typeof known) => Number(query.get(part)) !== known[part];
    return Response.json(
      {
        ...shown.summary(gate.paused, gate.signal.aborted),
        known,
        ...(isNew("charts") && { charts: chartsOf(shown.curves(), LIGHT) }),
        ...(snapshots.filters && isNew("filters") && { filters: snapshots.filters }),
        ...(snapshots.samples && isNew("samples") && { samples: snapshots.samples }),
      },
      { headers: HEADERS },
    );
  };
  const over = Promise.withResolvers<void>();
  const pages: Readonly<Record<string, (query: URLSearchParams, request: Request) => Response | Promise<Response>>> = {
    "": () =>
      servePage(
        page.replace("{{style}}", () => STYLE),
        "data:",
      ),
    state,
    // Answered when the training is over: a browser throttles what a hidden page polls.
    async end(query, request) {
      server.timeout(request, 0);
      await over.promise;
      return state(query);
    },
    "echarts.js": async () =>
      new Response(await echartsScript(), {
        headers: { ...HEADERS, "content-type": "text/javascript; charset=utf-8" },
      }),
  };
  const actions: Readonly<Record<string, () => void>> = {
    pause: () => gate.pause(),
    resume() {
      gate.resume();
      shown.heldUp();
    },
    stop: () => gate.stop(),
  };
  const answer = (request: Request): Response | Promise<Response> => {
    // An invalid Host header makes the URL unparsable.
    const url = URL.parse(request.url);
    if (!url || !isOwnHost(request.headers.get("host") ?? url.host, server.port!)) return refuse(403);
    const [, given = "", name = "", ...rest] = url.pathname.split("/");
    if (!isSameToken(given, token) || rest.length > 0) return refuse(404);
    if (Object.hasOwn(pages, name)) {
      return request.method === "GET" ? pages[name]!(url.searchParams, request) : refuse(405, { allow: "GET" });
    }
    if (!Object.hasOwn(actions, name)) return refuse(404);
    if (request.method !== "POST") return refuse(405, { allow: "POST" });
    actions[name]!();
    return new Response(null, { status: 204, headers: HEADERS });
  };
  const server = listen(port, answer);
  const close = async () => {
    over.resolve();
    // Answers that are on their way arrive; a browser that keeps its connection doesn't keep the program.
    await Promise.race([server.stop(), Bun.sleep(FAREWELL_MS)]);
    await server.stop(true);
  };
  let warned = false;
  const draw = (session: Session, drawing: Promise<void>) =>
    drawing.catch((error: unknown) => {
      // A failure is a warning: it must not end the training.
      const line = `the dashboard could not draw: ${oneLine(error instanceof Error ? error.message : String(error))}`;
      if (!warned) session.report({ type: "warning", line });
      warned = true;
    });
  return {
    url: `http://127.0.0.1:${server.port}/${token}/`,
    signal: gate.signal,
    watcher: {
      async afterStep(session: Session) {
        await draw(session, snapshots.take(session));
        return await gate.pass(session.signal);
      },
      afterEpoch: (session) => draw(session, snapshots.takeEpoch(session)),
    },
    watch: (report) => (event) => {
      shown.see(event);
      report(event);
    },
    fail: (error) => shown.fail(error),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Maximum time in which pages are told how the training ended. */
const FAREWELL_MS = 1000;

function refuse(status: 403 | 404 | 405, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status, headers: { ...HEADERS, ...headers } });
}

function listen(port: number, fetch: (request: Request) => Response | Promise<Response>) {
  try {
    return Bun.serve({ hostname: "127.0.0.1", port, fetch, development: false });
  } catch (error) {
    throw cantListen(`--dashboard ${port}`, error);
  }
}
