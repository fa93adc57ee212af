/** The dashboard: whose requests are answered, what the buttons do, and that it changes nothing. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { here } from "../../src/cli/terminal.ts";
import { UsageError } from "../../src/errors.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { openDashboard, type Dashboard } from "../../src/verbs/train/dashboard/server.ts";
import { train, trainWatched } from "../../src/verbs/train/train.ts";
import { epochsOf, startCli, tiny, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const options = { ...tiny, data: at("photos"), augment: "mirror,colour" };

beforeAll(async () => void (await makePhotos(at("photos"), 6, 10)));

/** The status of a GET with any Host header; `fetch` refuses to send some. */
async function statusOf(port: number, path: string, host: string): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return Number(answer.toString("latin1").split(" ")[1]);
}

/**
 * Trains with a dashboard. `seen` is called with each event; its promise is awaited before the next step, and before
 * the dashboard is closed. `afterStep` is awaited after each step, counted from 1, before the dashboard pauses or
 * continues the training.
 */
async function trainShown(
  out: string,
  epochs: number,
  {
    seen = () => {},
    afterStep,
    ...given
  }: {
    readonly seen?: (event: TrainEvent, dashboard: Dashboard) => unknown;
    readonly afterStep?: (step: number, dashboard: Dashboard) => Promise<void>;
    readonly now?: () => number;
    readonly signal?: AbortSignal;
    readonly augment?: string;
  },
) {
  const dashboard = openDashboard(0, given.now);
  let steps = 0;
  const answers: unknown[] = [];
  const answered = async () => void (await Promise.all(answers));
  const before = { afterStep: () => answered().then(() => afterStep?.(++steps, dashboard)), afterEpoch: answered };
  const signal = given.signal ? AbortSignal.any([given.signal, dashboard.signal]) : dashboard.signal;
  try {
    const report = dashboard.watch((event) => void answers.push(seen(event, dashboard)));
    const { augment = options.augment } = given;
    return await trainWatched({ ...options, augment, epochs, out: at(out), onEvent: report, signal }, [
      before,
      dashboard.watcher,
    ]);
  } finally {
    await dashboard.close();
  }
}

const press = ({ url }: Pick<Dashboard, "url">, button: string) => fetch(url + button, { method: "POST" });

const stateOf = async ({ url }: Pick<Dashboard, "url">, query = "") =>
  (await fetch(`${url}state${query}`)).json() as Promise<any>;

test("it listens on 127.0.0.1, and answers only with the token, a local Host and the right method", async () => {
  const dashboard = openDashboard();
  const { url } = dashboard;
  const { host, port, pathname } = new URL(url);
  expect(host).toBe(`127.0.0.1:${port}`);
  expect(pathname).toMatch(/^\/[0-9a-f]{32}\/$/);
  const status = async (address: string, init: RequestInit = {}) => (await fetch(address, init)).status;
  const root = `http://127.0.0.1:${port}`;
  for (const name of ["", "state", "echarts.js"]) {
    expect(await status(url + name)).toBe(200);
    expect(await status(url + name, { method: "POST" })).toBe(405);
    expect(await status(url + name, { method: "DELETE" })).toBe(405);
    expect(await status(`${root}/${name}`)).toBe(404);
    expect(await status(`${root}/${"0".repeat(32)}/${name}`)).toBe(404);
  }
  for (const name of ["pause", "resume", "stop"]) {
    expect(await status(url + name)).toBe(405);
    expect(await status(`${root}/${"0".repeat(32)}/${name}`, { method: "POST" })).toBe(404);
  }
  for (const name of ["other", "state/x", "constructor", "__proto__", "..%2f..%2fetc%2fpasswd"]) {
    expect(await status(url + name)).toBe(404);
    expect(await status(url + name, { method: "POST" })).toBe(404);
  }
  for (const other of ["evil.example", `evil.example:${port}`, "127.0.0.1", `127.0.0.1.evil.example:${port}`]) {
    expect(await status(url, { headers: { host: other } })).toBe(403);
    expect(await status(`${url}stop`, { method: "POST", headers: { host: other } })).toBe(403);
  }
  // Invalid hosts: with each, the URL that Bun gives is only the path.
  for (const other of ["127.0.0.1:99999999", "a b", "["])
    expect(await statusOf(Number(port), pathname, other)).toBe(403);
  expect(await status(url, { headers: { host: `localhost:${port}` } })).toBe(200);
  expect(dashboard.signal.aborted).toBe(false);
  await dashboard.close();
});

test("the policy allows the page's scripts and nothing else", async () => {
  const dashboard = openDashboard();
  const answer = await fetch(dashboard.url);
  const policy = answer.headers.get("content-security-policy")!;
  const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
  expect(policy).toStartWith("default-src 'none'; ");
  expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
  const page = await answer.text();
  expect([...page.matchAll(/<script[^>]*nonce="([^"]*)"/g)].map(([, own]) => own)).toEqual([nonce, nonce]);
  expect(page).not.toContain("{{");
  expect(await (await fetch(dashboard.url)).text()).not.toContain(nonce);
  await dashboard.close();
});

test("curves, filters and images are shown; pictures are sent again only when they are new", async () => {
  const states: Promise<any>[] = [];
  // Time stands still, so that the first pictures are the only ones.
  await trainShown("shown", 2, {
    now: () => 0,
    seen(event, dashboard) {
      if (event.type === "start" || event.type === "step") states.push(stateOf(dashboard));
      if (event.type === "saved") states.push(stateOf(dashboard, "?charts=-1&filters=1&samples=1"));
      return states.at(-1);
    },
  });
  const seen = await Promise.all(states);
  const last = seen.findLast(({ filters }) => filters);
  expect(last.title).toBe("shown");
  expect(last.subtitle).toContain("relu-or-tanh · ");
  for (const part of ["filters", "samples"]) expect(last[part].source).toStartWith("data:image/png;base64,");
  expect(last.charts.map(({ name }: { name: string }) => name)).toEqual([
    ...["Loss", "Accuracy", "Learning rate", "Images a second"],
  ]);
  const again = seen.filter(({ known, filters }) => known.filters === 1 && !filters);
  expect(again.length).toBeGreaterThan(0);
  for (const state of again) expect(state.samples).toBeUndefined();
});

test("where nothing is augmented, the images are shown once", async () => {
  const notes: string[] = [];
  for (const augment of ["none", "mirror"]) {
    await trainShown(`augment-${augment}`, 1, {
      augment,
      async seen(event, dashboard) {
        if (event.type !== "step" && event.type !== "saved") return;
        const { samples } = await stateOf(dashboard);
        if (samples) notes.push(`${augment}: ${samples.note}`);
      },
    });
  }
  expect(new Set(notes)).toEqual(
    new Set([
      "none: epoch 1: the centre of each; nothing is augmented",
      "mirror: epoch 1: top: the centre of each, as in validation; below: augmented, as in training",
    ]),
  );
});

test("at the end a waiting page is told how it went, and does not keep the program", async () => {
  let waiting: Promise<any> | undefined;
  const { run } = await trainShown("ended", 1, {
    seen(event, { url }) {
      if (event.type === "start") waiting = fetch(`${url}end?charts=-1`).then((answer) => answer.json());
    },
  });
  const { outcome, charts, running, done, tab } = await waiting;
  expect(outcome.kind).toBe("done");
  expect(outcome.words).toMatch(
    /^Done: \d+\.\d% of the 6 validation images are classified correctly, after epoch 1\. /,
  );
  expect(outcome.next.command).toBe(`bun run predict IMAGE --model ${here(run)}`);
  expect([charts.length, running, done]).toEqual([4, false, 1]);
  expect(tab).toMatch(/^done · \d+% · ended$/);
});

test("Stop on the page is an ordinary end of the command, and Ctrl-C is not", async () => {
  const train = ["train", "photos", ...TINY, "--epochs", "500", "--out", "by-button", "--dashboard"];
  const child = startCli(train, { cwd: folder.path });
  const output = new Response(child.stdout).text();
  let [text, outcome] = ["", undefined as Promise<any> | undefined];
  for await (const chunk of child.stderr as ReadableStream<Uint8Array>) {
    text += new TextDecoder().decode(chunk);
    const url = /dashboard: (\S+)\n/.exec(text)?.[1];
    if (!url || outcome) continue;
    outcome = fetch(`${url}end`).then(async (answer) => ((await answer.json()) as any).outcome);
    while (!(await stateOf({ url })).running) await Bun.sleep(20);
    await press({ url }, "stop");
  }
  await child.exited;
  expect(child.exitCode).toBe(0);
  expect(await output).toContain("Stopped and saved. Continue with  bun run train --resume by-button\n");
  expect(await outcome).toMatchObject({
    kind: "stopped",
    next: { words: "Go on with:", command: "bun run train --resume by-button" },
  });
});

test("a page is told of an error", async () => {
  const dashboard = openDashboard();
  const waiting = fetch(`${dashboard.url}end`).then((answer) => answer.json() as Promise<any>);
  // By then the first request has arrived, too.
  for (let i = 0; i < 3; i++) await stateOf(dashboard);
  dashboard.fail(new Error("the loss became NaN\nin epoch 1"));
  await dashboard.close();
  expect((await waiting).outcome).toEqual({ kind: "failed", words: "Failed: the loss became NaN in epoch 1" });
});

test("an open page does not change the training", async () => {
  const paths = ["looked", "alone"];
  await trainShown(paths[0]!, 2, { seen: (event, dashboard) => event.type === "step" && stateOf(dashboard) });
  await train({ ...options, epochs: 2, out: at(paths[1]!) });
  const [looked, alone] = paths.map((path) => epochsOf(at(path)));
  expect(looked).toEqual(alone!);
});

test("pause holds it between two steps, without counting towards its speed; then it continues", async () => {
  let [pausedMs, seconds, steps, stepsWhilePaused] = [0, Infinity, 0, 0];
  let during: any;
  let resumed: Promise<void> | undefined;
  const start = performance.now();
  const result = await trainShown("paused", 1, {
    seen(event) {
      if (event.type === "step") steps++;
      if (event.type === "epoch") ({ seconds } = event);
    },
    async afterStep(step, dashboard) {
      if (step !== 1) return;
      await press(dashboard, "pause");
      const pausedAt = performance.now();
      resumed = (async () => {
        const before = steps;
        await Bun.sleep(300);
        during = await stateOf(dashboard);
        stepsWhilePaused = steps - before;
        pausedMs = performance.now() - pausedAt;
        await press(dashboard, "resume");
      })();
    },
  });
  const wall = performance.now() - start;
  await resumed;
  expect(1000 * seconds).toBeLessThan(wall - pausedMs);
  expect(result.interrupted).toBe(false);
  expect(during.paused).toBe(true);
  expect(during.phase).toStartWith("Paused. ");
  expect([stepsWhilePaused, steps]).toEqual([0, 4]);
});

test("stop saves, also while paused, and the run can be resumed", async () => {
  for (const actions of [["stop"], ["pause", "stop"]]) {
    const out = `stopped-${actions.length}`;
    const stopped = await trainShown(out, 3, {
      async afterStep(step, dashboard) {
        if (step !== 1) return;
        await press(dashboard, actions[0]!);
        // Paused, it continues only once it is stopped.
        for (const action of actions.slice(1)) setTimeout(() => void press(dashboard, action), 50);
      },
    });
    expect(stopped.interrupted).toBe(true);
    expect(existsSync(join(at(out), "last.safetensors"))).toBe(true);
    expect((await train({ resume: at(out) })).interrupted).toBe(false);
    expect(epochsOf(at(out)).length).toBe(3);
  }
});

test("another signal ends a pause too", async () => {
  const controller = new AbortController();
  const result = await trainShown("signal", 3, {
    signal: controller.signal,
    async afterStep(step, dashboard) {
      if (step !== 1) return;
      await press(dashboard, "pause");
      setTimeout(() => controller.abort(), 50);
    },
  });
  expect(result.interrupted).toBe(true);
});

test("a port that is taken or invalid", async () => {
  const other = createServer();
  await once(other.listen(0, "127.0.0.1"), "listening");
  const { port } = other.address() as AddressInfo;
  expect(() => openDashboard(port)).toThrow(UsageError);
  expect(() => openDashboard(port)).toThrow(`--dashboard ${port}: can't listen there: another program uses it`);
  other.close();
  for (const wrong of [-1, 1.5, 65536]) expect(() => openDashboard(wrong)).toThrow(UsageError);
});
