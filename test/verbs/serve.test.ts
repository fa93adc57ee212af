/** The server: whose requests are answered, what is refused and how, and that it stops without losing one. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { DataError, DeviceError, UsageError } from "../../src/errors.ts";
import type { Classification } from "../../src/inference/classification.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { openApi } from "../../src/verbs/serve/openapi.ts";
import { serve, type ServeEvent } from "../../src/verbs/serve/serve.ts";
import { openServer, type Answering, type ClassifyServer, type ServerSettings } from "../../src/verbs/serve/server.ts";
import { saveUntrained } from "../support/checkpoints.ts";
import { jsonLines, startCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng } from "../support/images.ts";

setDefaultTimeout(60_000);

const png = figurePng(0, 0) as Uint8Array<ArrayBuffer>;
const PNG = { "content-type": "image/png" };
const FOUND: Classification = { classes: [{ name: "<b>ants</b>", probability: 0.75 }] };

/** A model that answers at once, unless a test says otherwise. */
const model = (classify: Answering["classify"] = async () => FOUND): Answering => ({
  ...{ network: "<i>small</i>", classes: ["<b>ants</b>", "bees"], device: "a device", waiting: 3, batches: 2 },
  classify,
});

let server: ClassifyServer;
let warnings: string[] = [];

/** The server's time: what it wants to call later is called by a test. */
let timers: (() => void)[] = [];
let timed = Promise.withResolvers<void>();

function open(classify?: Answering["classify"], settings: Partial<ServerSettings> = {}): ClassifyServer {
  [timers, timed] = [[], Promise.withResolvers<void>()];
  const after = (call: () => void) => {
    timers.push(call);
    timed.resolve();
    return setTimeout(() => {}, 0);
  };
  warnings = [];
  const warn = (line: string) => void warnings.push(line);
  const usual = { host: "127.0.0.1", port: 0, maxBytes: 10_000, timeoutMs: 60_000, queue: 4, warn };
  return (server = openServer(model(classify), { ...usual, ...settings }, after));
}

afterEach(() => server?.stop());

const send = (init: RequestInit = {}, query = "") =>
  fetch(`${server.url}classify${query}`, { method: "POST", body: png, headers: PNG, ...init });
const errorOf = async (answer: Response) => [answer.status, ((await answer.json()) as { error: string }).error];

/** The status of what is written to a socket as it is. */
async function statusOf(text: string): Promise<number> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  const [answer] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return Number(answer.toString("latin1").split(" ")[1]);
}

describe("an image", () => {
  test("as the body, as a file of a form, and without a type", async () => {
    const seen: Uint8Array[] = [];
    open(async (image) => (seen.push(image.slice()), FOUND));
    const form = new FormData();
    form.set("note", "mine");
    form.set("image", new Blob([png]), "photo.png");
    const ways: RequestInit[] = [
      { headers: PNG },
      { headers: { "content-type": "application/octet-stream" } },
      { headers: {} },
      { body: form, headers: {} },
      { body: new ReadableStream({ start: (sink) => (sink.enqueue(png.subarray(0, 50)), sink.enqueue(png.subarray(50)), sink.close()) }) }, // prettier-ignore
    ];
    for (const way of ways) {
      const answer = await send(way);
      const { milliseconds, ...found } = (await answer.json()) as Classification & { milliseconds: number };
      expect([answer.status, found]).toEqual([200, FOUND]);
      expect(milliseconds).toBeGreaterThanOrEqual(0);
    }
    expect(seen.map((bytes) => Buffer.from(bytes).equals(png))).toEqual(ways.map(() => true));
  });

  test("its options are in the query", async () => {
    const asked: object[] = [];
    open(async (_, { signal: _signal, ...options }) => (asked.push(options), FOUND));
    await send({}, "?top=3&views=2&at-least=0.5");
    await send();
    expect(asked).toEqual([{ top: 3, views: 2, atLeast: 0.5 }, {}]);
    for (const [query, message] of [
      ["?top=0", "top 0: must be a whole number above 0"],
      ["?top=many", "top many: must be a number"],
      ["?views=3", "views 3: must be 1, 2, 6 or 10"],
      ["?constructor=1", 'there is no parameter "constructor"; there are views, top, at-least'],
    ] as const) {
      expect(await errorOf(await send({}, query))).toEqual([400, message]);
    }
    expect(asked.length).toBe(2);
  });

  test("is refused before the model sees it", async () => {
    open(async () => Promise.reject(new Error("seen")));
    const forms = [new FormData(), new FormData()];
    for (const name of ["a", "b"]) forms[1]!.set(name, new Blob([png]), name);
    const form = { "content-type": "multipart/form-data; boundary=x" };
    const large = new Uint8Array(10_001);
    const chunked = () => new ReadableStream({ start: (sink) => (sink.enqueue(large), sink.close()) });
    for (const [init, status, message] of [
      [{ body: new Uint8Array() }, 400, "there is no image in the request: "],
      [{ body: null, method: "POST" }, 400, "there is no image in the request: "],
      [{ body: forms[0]!, headers: {} }, 400, "the form "],
      [{ body: forms[1]!, headers: {} }, 400, "the form has 2 files, must have one: the image"],
      [{ body: "--x\r\ncut", headers: form }, 400, "the form can't be read"],
      [{ body: large }, 413, "the body has more than 10000 bytes, the most that is taken"],
      [{ body: chunked() }, 413, "the body has more than 10000 bytes, the most that is taken"],
      [{ body: "GIF89a" }, 415, "it is not a JPEG, PNG or WebP image"],
      [{ headers: { "content-type": "text/plain" } }, 415, "Content-Type text/plain: send the image as the body"],
    ] as const) {
      const [found, error] = await errorOf(await send(init as RequestInit));
      expect([found, error]).toEqual([status, expect.stringContaining(message)]);
    }
    expect(warnings).toEqual([]);
  });

  test("that is damaged is the sender's fault; a device that fails is not, and the server says so until it works", async () => {
    const errors = [new DataError("the image can't be used: cut"), new DeviceError("the GPU\nis lost")];
    open(async () => {
      const error = errors.shift();
      if (error) throw error;
      return FOUND;
    });
    const health = async () => {
      const answer = await fetch(`${server.url}health`);
      return [answer.status, await answer.json()];
    };
    expect(await errorOf(await send())).toEqual([400, "the image can't be used: cut"]);
    expect(await health()).toEqual([200, { status: "ok" }]);
    expect(await errorOf(await send())).toEqual([500, expect.not.stringContaining("GPU")]);
    expect(await health()).toEqual([503, { status: "failed" }]);
    expect(warnings).toEqual(["the GPU is lost"]);
    expect((await send()).status).toBe(200);
    expect(await health()).toEqual([200, { status: "ok" }]);
  });
});

describe("limits", () => {
  test("a full queue is answered 503, with when to try again; the others are answered", async () => {
    const gate = Promise.withResolvers<void>();
    const full = Promise.withResolvers<void>();
    let count = 0;
    open(async () => {
      if (++count === 4) full.resolve();
      await gate.promise;
      return FOUND;
    });
    const answers = Array.from({ length: 4 }, () => send());
    await full.promise;
    const refused = await send();
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await (await fetch(`${server.url}metrics`)).text()).toContain("\nalexnet_requests_under_way 4\n");
    gate.resolve();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test("an image that takes too long: 504, and the model need not go on", async () => {
    const came = Promise.withResolvers<void>();
    open((_, { signal }) => {
      came.resolve();
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    });
    const answer = send();
    await came.promise;
    timers[0]!();
    expect(await errorOf(await answer)).toEqual([504, "the image was not classified within 60 s"]);
  });

  test("a body that does not arrive: 408", async () => {
    open();
    const host = new URL(server.url).host;
    const head = `POST /classify HTTP/1.1\r\nHost: ${host}\r\nContent-Type: image/png\r\nContent-Length: 500\r\n\r\nx`;
    const status = statusOf(head);
    await timed.promise;
    timers[0]!();
    expect(await status).toBe(408);
  });

  test("a sender that leaves makes room", async () => {
    const came = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    open(
      (_, { signal }) =>
        new Promise((_, reject) => {
          came.resolve();
          signal.addEventListener("abort", () => (left.resolve(), reject(signal.reason)), { once: true });
        }),
    );
    const stop = new AbortController();
    const gone = send({ signal: stop.signal }).catch((error: Error) => error.name);
    await came.promise;
    stop.abort();
    await left.promise;
    expect(await gone).toBe("AbortError");
    expect(warnings).toEqual([]);
  });
});

describe("who is answered", () => {
  const PATHS = ["", "health", "metrics", "openapi.json"];

  test("only this machine's names, and no page of another site", async () => {
    open();
    const { host, port } = new URL(server.url);
    const status = async (path: string, headers: Record<string, string>) =>
      (await fetch(server.url + path, { headers })).status;
    for (const path of PATHS) {
      expect(await status(path, {})).toBe(200);
      expect(await status(path, { host: `localhost:${port}` })).toBe(200);
      expect(await status(path, { origin: `http://${host}` })).toBe(200);
      for (const other of ["evil.example", `evil.example:${port}`, `127.0.0.1.evil.example:${port}`]) {
        expect(await status(path, { host: other })).toBe(403);
      }
      for (const origin of ["http://evil.example", "null", `https://${host}`, `http://localhost:${port}`]) {
        expect(await status(path, { origin })).toBe(403);
      }
    }
    expect((await send({ headers: { ...PNG, origin: "http://evil.example" } })).status).toBe(403);
    expect(await statusOf(`GET /health HTTP/1.1\r\nHost: a b\r\n\r\n`)).toBe(403);
  });

  test("methods and paths", async () => {
    open();
    for (const path of PATHS) {
      const answer = await fetch(server.url + path, { method: "POST" });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET"]);
      expect((await fetch(server.url + path, { method: "HEAD" })).status).toBe(200);
    }
    const answer = await fetch(`${server.url}classify`);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
    for (const path of ["other", "classify/", "constructor", "..%2fetc%2fpasswd"]) {
      expect((await fetch(server.url + path)).status).toBe(404);
    }
  });

  test("with a token: nobody else sends images or sees the counters", async () => {
    const token = "0123456789abcdef";
    open(undefined, { token, host: "0.0.0.0" });
    const { port } = new URL(server.url);
    const at = `http://127.0.0.1:${port}/`;
    for (const authorization of ["", "Bearer", "Bearer 0123456789abcdeF", token, `Basic ${token}`]) {
      const answer = await fetch(`${at}classify`, { method: "POST", body: png, headers: { authorization } });
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      expect((await fetch(`${at}metrics`, { headers: { authorization } })).status).toBe(401);
    }
    const headers = { ...PNG, authorization: `Bearer ${token}`, host: "photos.example" };
    expect((await fetch(`${at}classify`, { method: "POST", body: png, headers })).status).toBe(200);
    expect((await fetch(`${at}metrics`, { headers })).status).toBe(200);
    for (const path of ["", "health", "openapi.json"]) expect((await fetch(at + path)).status).toBe(200);
  });

  test("another address needs a token, which needs a length; a port may be taken", async () => {
    await expect(serve({ host: "0.0.0.0" })).rejects.toThrow('host: "0.0.0.0": others could send images there');
    await expect(serve({ token: "short" })).rejects.toThrow("16 or more visible characters");
    const other = createServer();
    await once(other.listen(0, "127.0.0.1"), "listening");
    const { port } = other.address() as AddressInfo;
    expect(() => open(undefined, { port })).toThrow(UsageError);
    expect(() => open(undefined, { port })).toThrow(`port: ${port}: can't listen there: another program uses it`);
    other.close();
  });
});

test("the page: its policy allows its own script only, and names are text", async () => {
  open();
  const answer = await fetch(server.url);
  const policy = answer.headers.get("content-security-policy")!;
  expect(policy).toStartWith("default-src 'none'; ");
  const [, nonce] = /'nonce-([^']+)'/.exec(policy)!;
  const text = await answer.text();
  expect([...text.matchAll(/<script[^>]*nonce="([^"]*)"/g)].map(([, own]) => own)).toEqual([nonce]);
  expect(text).not.toContain("{{");
  expect(text).not.toContain("<i>small");
  expect(text).toContain("2 classes · a device");
});

test("the counters: requests by path and status, images, times, and what waits", async () => {
  open();
  await send();
  await send({ body: "GIF89a" });
  await fetch(`${server.url}other/1`);
  await fetch(`${server.url}other/2`);
  const answer = await fetch(`${server.url}metrics`);
  expect(answer.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  const lines = (await answer.text()).trimEnd().split("\n");
  for (const line of [
    'alexnet_requests_total{path="/classify",status="200"} 1',
    'alexnet_requests_total{path="/classify",status="415"} 1',
    'alexnet_requests_total{path="other",status="404"} 2',
    "alexnet_images_total 1",
    "alexnet_batches_total 2",
    "alexnet_queue_length 3",
    'alexnet_classification_seconds_bucket{le="+Inf"} 1',
    "alexnet_classification_seconds_count 1",
  ]) {
    expect(lines).toContain(line);
  }
  // The format: comments, or a name, labels and a number.
  for (const line of lines) {
    expect(line).toMatch(
      /^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{\w+="[^"\\]*"(?:,\w+="[^"\\]*")*\})? \d+(?:\.\d+)?(?:e-?\d+)?)$/,
    );
  }
  const counts = lines.flatMap((line) => /_bucket\{.*\} (\d+)$/.exec(line)?.[1] ?? []).map(Number);
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect([server.metrics.images, server.metrics.requests]).toEqual([1, 5]);
});

test("the description has every path, method and status", async () => {
  open();
  const described = (await (await fetch(`${server.url}openapi.json`)).json()) as any;
  expect(described).toEqual(JSON.parse(JSON.stringify(openApi(false))));
  expect(described.openapi).toMatch(/^3\.1\./);
  for (const [path, methods] of Object.entries<any>(described.paths)) {
    for (const method of ["get", "post"]) {
      const { status } = await fetch(server.url + path.slice(1), { method: method.toUpperCase() });
      if (methods[method]) expect(Object.keys(methods[method].responses)).toContain(String(status));
      else expect(status).toBe(405);
    }
  }
  const statuses = Object.keys(described.paths["/classify"].post.responses);
  expect(statuses).toEqual(["200", "400", "401", "403", "408", "413", "415", "500", "503", "504"]);
  // Every reference leads somewhere.
  for (const [, name] of JSON.stringify(described).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    expect(Object.keys(described.components.schemas)).toContain(name);
  }
  expect((openApi(true) as any).paths["/classify"].post.security).toEqual([{ token: [] }]);
});

test("stopping answers what is under way, and takes nothing more", async () => {
  const gate = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  open(async () => {
    came.resolve();
    await gate.promise;
    return FOUND;
  });
  const first = send();
  await came.promise;
  let stopped = false;
  const stopping = server.stop().then(() => (stopped = true));
  await Bun.sleep(20);
  expect(stopped).toBe(false);
  gate.resolve();
  expect((await first).status).toBe(200);
  await stopping;
  await expect(send()).rejects.toThrow();
});

/** The JSON lines of a stream as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Record<string, any>> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n") + 1;
    yield* jsonLines(text.slice(0, end));
    text = text.slice(end);
  }
}

describe("the command", () => {
  const folder = temporaryFolder();
  afterAll(folder.remove);
  const weights = join(folder.path, "model.safetensors");
  beforeAll(() => saveUntrained(weights, small, ["ants", "bees", "cats"], 1));

  test("answers with a real model, batches what comes together, and ends with 0 at SIGTERM", async () => {
    const args = ["serve", weights, "--port", "0", "--device", "cpu", "--threads", "1", "--batch", "4", "--json"];
    const child = startCli(args, { cwd: folder.path });
    const lines = linesOf(child.stdout);
    const listening = (await lines.next()).value;
    expect(listening).toMatchObject({ type: "listening", network: "small", weights, origin: "own", classes: 3 });
    const url = (listening as { url: string }).url;
    const images = Array.from({ length: 12 }, (_, i) => figurePng(i % 10, i) as Uint8Array<ArrayBuffer>);
    const post = (body: Uint8Array<ArrayBuffer>) => fetch(`${url}classify`, { method: "POST", body, headers: PNG });
    const answers = await Promise.all(
      images.map(async (image) => (await post(image)).json() as Promise<Classification>),
    );
    for (const { classes } of answers) {
      expect(classes.length).toBe(3);
      expect(classes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
    }
    const [, batches] = /alexnet_batches_total (\d+)/.exec(await (await fetch(`${url}metrics`)).text())!;
    expect(Number(batches)).toBeWithin(3, 12);
    expect((await post(images[0]!)).status).toBe(200);
    child.kill("SIGTERM");
    expect((await lines.next()).value).toEqual({ type: "stopped", requests: 14, images: 13 });
    expect(await child.exited).toBe(0);
  });

  test("as a function: it listens until its signal, and says what it did", async () => {
    const stop = new AbortController();
    let status = 0;
    const onEvent = (event: ServeEvent) => {
      if (event.type !== "listening") return;
      void fetch(`${event.url}health`).then((answer) => {
        status = answer.status;
        stop.abort();
      });
    };
    const options = { run: weights, port: 0, device: "cpu", threads: 1, batch: 1 };
    expect(await serve({ ...options, onEvent, signal: stop.signal })).toEqual({ requests: 1, images: 0 });
    expect(status).toBe(200);
  });
});
