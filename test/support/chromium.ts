/** A headless Chromium for tests of pages, driven through its DevTools protocol. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where it is, if this machine has one. */
export const CHROMIUM = Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");

/** Whether its absence is a failure: "chromium" among the backends that are demanded, as in CI. */
export const isChromiumRequired = (process.env.REQUIRE_BACKENDS ?? "").split(",").includes("chromium");

const FLAGS = [
  ...["--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-sync"],
  ...["--disable-component-update", "--remote-debugging-port=0"],
  // WebGPU without a GPU: SwiftShader, which Chromium otherwise keeps from pages.
  "--enable-unsafe-webgpu",
  // A camera that shows a test picture, and is given without a question.
  ...["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
];

export interface Page extends AsyncDisposable {
  /** The value of an expression, awaited if it is a promise. @throws Error when it throws */
  evaluate<T>(expression: string): Promise<T>;
  /** Sends a command of the DevTools protocol. */
  send<T = unknown>(method: string, params?: object): Promise<T>;
  /** A picture of the visible part, as PNG. */
  screenshot(): Promise<Uint8Array>;
  /** What the page has written to its console so far, errors that nobody caught included. */
  readonly console: readonly string[];
}

/** Opens an address in a browser of its own, at `width` × `height` pixels, and waits until it has loaded. */
export async function openPage(url: string, width = 1280, height = 800): Promise<Page> {
  if (!CHROMIUM) throw new Error("there is no chromium: apt install chromium");
  const profile = mkdtempSync(join(tmpdir(), "chromium-"));
  const browser = Bun.spawn([CHROMIUM, ...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const close = async () => {
    browser.kill();
    await browser.exited;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const port = new URL(await addressIn(browser.stderr)).port;
    const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      readonly type: string;
      readonly webSocketDebuggerUrl: string;
    }[];
    const connection = await connect(targets.find(({ type }) => type === "page")!.webSocketDebuggerUrl);
    const { send, console } = connection;
    await send("Runtime.enable");
    await send("Page.enable");
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    const loaded = connection.once("Page.loadEventFired");
    await send("Page.navigate", { url });
    await loaded;
    return {
      send,
      console,
      async evaluate<T>(expression: string): Promise<T> {
        const options = { expression, awaitPromise: true, returnByValue: true };
        const { result, exceptionDetails: thrown } = await send<Evaluated>("Runtime.evaluate", options);
        if (thrown) throw new Error(thrown.exception?.description ?? thrown.text);
        return result.value as T;
      },
      async screenshot() {
        const { data } = await send<{ readonly data: string }>("Page.captureScreenshot", { format: "png" });
        return Uint8Array.fromBase64(data);
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Evaluated {
  readonly result: { readonly value: unknown };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description: string } };
}

/** The address of the browser's DevTools, which it writes to its standard error. */
async function addressIn(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = stderr.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
    const address = /ws:\/\/\S+/.exec(text)?.[0];
    if (!address) continue;
    // Read on, so that the browser never waits for room.
    void (async () => {
      while (!(await reader.read()).done);
    })();
    return address;
  }
  throw new Error(`chromium does not start: ${text.trim()}`);
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, any>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

async function connect(address: string) {
  const socket = new WebSocket(address);
  const waiting = new Map<number, { resolve: (value: any) => void; reject: (error: Error) => void }>();
  const events = new Map<string, () => void>();
  const console: string[] = [];
  let count = 0;
  const note = ({ method, params = {} }: Message) => {
    if (method === "Runtime.consoleAPICalled") {
      const values = params.args as { readonly value?: unknown; readonly description?: string }[];
      console.push(`${params.type}: ${values.map(({ value, description }) => value ?? description).join(" ")}`);
    } else if (method === "Runtime.exceptionThrown") {
      const { text, exception } = params.exceptionDetails;
      console.push(`exception: ${exception?.description ?? text}`);
    }
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id === undefined) {
      note(message);
      events.get(message.method!)?.();
      return;
    }
    const { resolve, reject } = waiting.get(message.id)!;
    waiting.delete(message.id);
    if (message.error) reject(new Error(message.error.message));
    else resolve(message.result);
  };
  socket.onclose = () => {
    for (const { reject } of waiting.values()) reject(new Error("chromium ended"));
  };
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`chromium does not answer at ${address}`));
  });
  return {
    console,
    send<T = unknown>(method: string, params: object = {}): Promise<T> {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      waiting.set(++count, { resolve, reject });
      socket.send(JSON.stringify({ id: count, method, params }));
      return promise;
    },
    /** Resolves at the next event of that name. */
    once: (method: string) => new Promise<void>((resolve) => void events.set(method, resolve)),
  };
}
