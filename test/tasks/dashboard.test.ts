/** The page of a training under way: who is answered, what the buttons do, and that nobody has to look. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { openDashboard, type Dashboard } from "../../src/tasks/dashboard/server.ts";
import type { TrainEvent } from "../../src/tasks/events.ts";
import { train } from "../../src/tasks/train.ts";
import { epochsOf, makePhotos, temporaryFolder, tiny } from "../helpers/cli.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const options = { ...tiny, data: at("photos"), augment: "mirror,colour" };

beforeAll(async () => void (await makePhotos(at("photos"), 6, 10)));

/** The status of a GET with any Host header: `fetch` refuses to send some. */
async function statusOf(port: number, path: string, host: string): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return Number(answer.toString("latin1").split(" ")[1]);
}

/** Trains with a dashboard, and does something at each event. */
async function trainShown(out: string, epochs: number, at_: (event: TrainEvent, dashboard: Dashboard) => void) {
  const dashboard = openDashboard();
  try {
    const report = dashboard.watch((event) => at_(event, dashboard));
    return await train({ ...options, epochs, out: at(out) }, report, dashboard.signal, [dashboard.watcher]);
  } finally {
    await dashboard.close();
  }
}

const stateOf = async ({ url }: Dashboard, query = "") => (await fetch(`${url}state${query}`)).json() as Promise<any>;

test("only 127.0.0.1 listens, and only the token, our own name and the right method are answered", async () => {
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
  // Hosts that no address can have: with each, Bun knows of no address but the path.
  for (const other of ["127.0.0.1:99999999", "a b", "["])
    expect(await statusOf(Number(port), pathname, other)).toBe(403);
  expect(await status(url, { headers: { host: `localhost:${port}` } })).toBe(200);
  expect(dashboard.signal.aborted).toBe(false);
  await dashboard.close();
});

test("the page's scripts are allowed by the policy, and nothing else is", async () => {
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

test("a training is shown: its curves, filters and images; pictures again only when they are new", async () => {
  const states: Promise<any>[] = [];
  await trainShown("shown", 2, (event, dashboard) => {
    if (event.type === "start" || event.type === "step") states.push(stateOf(dashboard));
    if (event.type === "saved") states.push(stateOf(dashboard, "?charts=-1&filters=1&samples=1&dark=1"));
  });
  const seen = await Promise.all(states);
  const last = seen.findLast(({ filters }) => filters);
  expect(last.title).toBe("shown");
  expect(last.subtitle).toContain("relu-or-tanh · ");
  for (const part of ["filters", "samples"]) expect(last[part].source).toStartWith("data:image/png;base64,");
  expect(last.charts.map(({ name }: { name: string }) => name)).toEqual([
    ...["Loss", "Error", "Learning rate", "Images a second"],
  ]);
  // The first are drawn once in two seconds at most, and this training takes less.
  const again = seen.filter(({ known, filters }) => known.filters === 1 && !filters);
  expect(again.length).toBeGreaterThan(0);
  for (const state of again) expect(state.samples).toBeUndefined();
});

test("whether anybody looks changes nothing", async () => {
  const paths = ["looked", "alone"];
  await trainShown(paths[0]!, 2, (event, dashboard) => void (event.type === "step" && void stateOf(dashboard)));
  await train({ ...options, epochs: 2, out: at(paths[1]!) });
  const [looked, alone] = paths.map((path) => epochsOf(at(path)));
  expect(looked).toEqual(alone!);
});

test("pause holds it between two steps, and its speed does not count the time; then it goes on", async () => {
  const PAUSE_MS = 1500;
  let [pausedAt, resumedAt, steps] = [0, 0, 0];
  let during: any;
  let after: Promise<void> | undefined;
  let seconds = Infinity;
  const start = performance.now();
  const result = await trainShown("paused", 1, (event, dashboard) => {
    if (event.type === "step" && resumedAt === 0) steps++;
    if (event.type === "epoch") ({ seconds } = event);
    if (event.type !== "step" || event.batch !== 1) return;
    // The event comes within a step, so that the answer does too.
    after = (async () => {
      await fetch(`${dashboard.url}pause`, { method: "POST" });
      pausedAt = performance.now();
      await Bun.sleep(PAUSE_MS);
      during = await stateOf(dashboard);
      resumedAt = performance.now();
      await fetch(`${dashboard.url}resume`, { method: "POST" });
    })();
  });
  const wall = performance.now() - start;
  await after;
  expect(1000 * seconds).toBeLessThan(wall - PAUSE_MS + 100);
  expect(result.interrupted).toBe(false);
  expect(resumedAt - pausedAt).toBeGreaterThanOrEqual(PAUSE_MS - 5);
  expect(during.paused).toBe(true);
  expect(during.phase).toStartWith("Paused. ");
  const STEPS = 4;
  expect(steps).toBeLessThan(STEPS);
});

test("stop saves, and can be resumed; also while it is paused", async () => {
  for (const actions of [["stop"], ["pause", "stop"]]) {
    const out = `stopped-${actions.length}`;
    const stopped = await trainShown(out, 3, (event, dashboard) => {
      if (event.type !== "step" || event.epoch !== 1 || event.batch !== 1) return;
      void (async () => {
        for (const action of actions) {
          await fetch(dashboard.url + action, { method: "POST" });
          await Bun.sleep(50);
        }
      })();
    });
    expect(stopped.interrupted).toBe(true);
    expect(existsSync(join(at(out), "last.safetensors"))).toBe(true);
    expect((await train({ resume: at(out) })).interrupted).toBe(false);
    expect(epochsOf(at(out)).length).toBe(3);
  }
});

test("another signal ends a pause too", async () => {
  const dashboard = openDashboard();
  const controller = new AbortController();
  const report = dashboard.watch((event) => {
    if (event.type !== "step" || event.batch !== 1) return;
    void fetch(`${dashboard.url}pause`, { method: "POST" }).then(() => setTimeout(() => controller.abort(), 100));
  });
  const signal = AbortSignal.any([controller.signal, dashboard.signal]);
  const result = await train({ ...options, epochs: 50, out: at("signal") }, report, signal, [dashboard.watcher]);
  expect(result.interrupted).toBe(true);
  await dashboard.close();
});

test("a port that is taken, or none", async () => {
  const other = createServer();
  await once(other.listen(0, "127.0.0.1"), "listening");
  const { port } = other.address() as AddressInfo;
  expect(() => openDashboard(port)).toThrow(UsageError);
  expect(() => openDashboard(port)).toThrow(`--dashboard ${port}: can't listen on this port: another program has it`);
  other.close();
  for (const wrong of [-1, 1.5, 65536]) expect(() => openDashboard(wrong)).toThrow(UsageError);
});
