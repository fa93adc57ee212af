/** An exported page in headless Chromium, as somebody who opens it would use it. */
import { pathToFileURL } from "node:url";
import { openPage, type Page } from "./chromium.ts";

export interface PhotoPage extends AsyncDisposable {
  readonly page: Page;
  /** What went wrong: errors, what the page's policy refused, and what it asked the network for. */
  complaints(): Promise<readonly string[]>;
  /** The text of an element. */
  text(id: string): Promise<string>;
  click(selector: string): Promise<void>;
  /** Waits until a JavaScript expression is true in the page. @throws Error with the page's text after ten minutes */
  until(expression: string): Promise<void>;
  /** Chooses files as a visitor does. */
  choose(files: readonly string[]): Promise<void>;
  /** What is answered for a photo: nothing if it is refused. */
  classify(file: string): Promise<Shown>;
}

/** The classes of an answer, with probabilities to a tenth of a percent. */
export type Shown = readonly { readonly name: string; readonly probability: number }[];

/** A software GPU compiles for minutes. */
const LIMIT_MS = 600_000;

/** Runs before the page's own script. */
const LISTEN = `
  globalThis.refused = [];
  document.addEventListener("securitypolicyviolation", (event) => refused.push("policy: " + event.blockedURI));
`;

/** Put before the worker's script, this makes its GPU go away when the second photo comes. */
const LOSE = `
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await requestDevice.apply(this, given);
    let photos = 0;
    addEventListener("message", ({ data }) => data.type === "classify" && ++photos === 2 && device.destroy());
    return device;
  };
`;
const LOSING = `
  const { createObjectURL } = URL;
  URL.createObjectURL = (blob) =>
    createObjectURL(blob.type === "text/javascript" ? new Blob([${JSON.stringify(LOSE)}, blob], blob) : blob);
`;

/** Opens a page from disk, and waits until it is ready. @param losesGpu whether the GPU is lost at the second photo */
export async function openPhotoPage(
  file: string,
  device?: "webgpu" | "webassembly",
  losesGpu = false,
): Promise<PhotoPage> {
  const page = await openPage("about:blank");
  const { send, evaluate } = page;
  await send("Page.addScriptToEvaluateOnNewDocument", { source: losesGpu ? LISTEN + LOSING : LISTEN });
  await send("Page.navigate", { url: `${pathToFileURL(file).href}${device === undefined ? "" : `#device=${device}`}` });
  const text = (id: string) => evaluate<string>(`document.getElementById(${JSON.stringify(id)}).textContent`);
  const until = async (expression: string) => {
    const end = Date.now() + LIMIT_MS;
    while (!(await evaluate<boolean>(`!!(${expression})`))) {
      if (Date.now() > end) throw new Error(`never: ${expression}: ${await evaluate("document.body.innerText")}`);
      await Bun.sleep(20);
    }
  };
  const click = async (selector: string) =>
    void (await evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`));
  const choose = async (files: readonly string[]) => {
    const { root } = await send<{ root: { nodeId: number } }>("DOM.getDocument");
    const { nodeId } = await send<{ nodeId: number }>("DOM.querySelector", { nodeId: root.nodeId, selector: "#files" });
    await send("DOM.setFileInputFiles", { nodeId, files });
  };
  await until(
    `document.readyState === "complete" && document.getElementById("state") && ` +
      `(/^Ready/.test(document.getElementById("state").textContent) || !document.getElementById("problem").hidden)`,
  );
  return {
    ...{ page, text, click, until, choose },
    async complaints() {
      const asked = `performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => !/^(blob|data):/.test(name))`;
      return [...page.console, ...(await evaluate<string[]>(`refused.concat(${asked})`))];
    },
    async classify(photo) {
      // The list keeps what came before.
      await click("#clear");
      await choose([photo]);
      await until(
        `document.querySelectorAll("#photos b").length === 1 && ` +
          `(document.querySelector("#classes li") || !document.getElementById("problem").hidden)`,
      );
      const lines = await evaluate<[string, string][]>(
        `[...document.querySelectorAll(".class")].map((line) => [...line.children].slice(0, 2).map((each) => each.textContent))`,
      );
      return lines.map(([name, share]) => ({ name, probability: Number.parseFloat(share) / 100 }));
    },
    [Symbol.asyncDispose]: page[Symbol.asyncDispose],
  };
}
