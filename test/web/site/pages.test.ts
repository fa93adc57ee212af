/** The project's page as a visitor has it: what is in its files, and its parts in a browser, with little to do. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSite, serve } from "../../../packaging/site.ts";
import { CHROMIUM, isChromiumRequired } from "../../support/chromium.ts";
import { temporaryFolder } from "../../support/folders.ts";
import { openVisitor, type Visitor } from "../../support/site_page.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(240_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const site = join(folder.path, "site");
const read = (name: string) => readFileSync(join(site, name), "utf8");
const photoPage =
  `<!doctype html><html lang="en"><head><meta http-equiv="Content-Security-Policy" ` +
  `content="default-src 'none'; style-src 'sha256-x'; base-uri 'none'" /></head><body><main></main></body></html>`;

beforeAll(() => buildSite({ folder: site, photoPage }));

describe("files", () => {
  test("pages, their scripts and the kernels, and nothing else", () => {
    const scripts = ["gpu.js", "gpu_worker.js", "train.js", "train_worker.js"];
    const pages = ["gpu.html", "index.html", "photo.html"];
    expect(readdirSync(site).sort()).toEqual([...pages, ...scripts, "kernels.wasm"].sort());
  });

  test("nothing is loaded from elsewhere, and nothing could be", () => {
    for (const page of ["index.html", "gpu.html"]) {
      expect(read(page)).not.toMatch(/https?:/);
      expect(read(page)).toContain(`content="default-src 'none'; script-src 'self'`);
      for (const [, target] of read(page).matchAll(/(?:src|href)="([^"]*)"/g)) {
        expect(target === "data:," || readdirSync(site).includes(target!)).toBe(true);
      }
      expect(read(page)).not.toContain("{{");
    }
  });

  test("scripts know neither Bun nor Node, and have no address but names", () => {
    for (const name of readdirSync(site).filter((name) => name.endsWith(".js"))) {
      const script = read(name);
      expect(script.match(/\bBun\.\w+|["'](?:node|bun):\w+|\brequire\(/g) ?? []).toEqual([]);
      // Licences in comments name addresses, and XML has namespaces.
      const addresses = script.replace(/\/\*[^]*?\*\//g, "").match(/https?:\/\/[\w.-]+/g) ?? [];
      expect([...new Set(addresses)].filter((address) => address !== "http://www.w3.org")).toEqual([]);
    }
  });

  test("the page for photos gets the links, and its policy their style alone", () => {
    const page = read("photo.html");
    expect(page).toContain(`<a href="photo.html" aria-current="page">Try a photo</a>`);
    const [style] = /(?<=<body><style>)[^]*?(?=<\/style>)/.exec(page)!;
    const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
    expect(page).toContain(`style-src 'sha256-x' 'sha256-${hash}'; base-uri`);
    expect(style).toContain(".site a");
    expect(style).not.toContain("button");
  });

  test("without the page for photos nothing links to it", async () => {
    const other = join(folder.path, "other");
    await buildSite({ folder: other });
    expect(readdirSync(other)).not.toContain("photo.html");
    expect(readFileSync(join(other, "index.html"), "utf8")).not.toContain("photo.html");
  });
});

test("only the files of the site are served, on this machine alone", async () => {
  const server = serve(site, 0);
  try {
    expect(server.hostname).toBe("127.0.0.1");
    const get = (path: string) => fetch(new URL(path, server.url));
    expect(await (await get("/")).text()).toBe(read("index.html"));
    expect((await get("/kernels.wasm")).headers.get("content-type")).toBe("application/wasm");
    for (const path of ["/nothing.html", "/..%2f..%2fpackage.json", "/.hidden", "/a/b"])
      expect((await get(path)).status).toBe(404);
  } finally {
    await server.stop(true);
  }
});

/** Put before the worker's script, this makes its GPU go away when it gets its tenth piece of work. */
const LOSE = `
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await requestDevice.apply(this, given);
    const { submit } = GPUQueue.prototype;
    let count = 0;
    GPUQueue.prototype.submit = function (...buffers) {
      submit.apply(this, buffers);
      if (++count === 10) device.destroy();
    };
    return device;
  };
`;

const skip = CHROMIUM === undefined && !isChromiumRequired;
describe.skipIf(skip)(`in Chromium${skip ? " (skipped: there is none)" : ""}`, () => {
  let server: ReturnType<typeof serve>;
  let lost: ReturnType<typeof serve>;
  let visitor: Visitor;
  beforeAll(async () => {
    cpSync(site, join(folder.path, "lost"), { recursive: true });
    writeFileSync(join(folder.path, "lost/gpu_worker.js"), LOSE + read("gpu_worker.js"));
    server = serve(site, 0);
    lost = serve(join(folder.path, "lost"), 0);
    visitor = await openVisitor();
  });
  afterAll(async () => {
    await visitor[Symbol.asyncDispose]();
    await Promise.all([server.stop(true), lost.stop(true)]);
  });
  const visit = (address: string) => visitor.visit(new URL(address, server.url));
  const phase = (name: string) => visitor.until(`document.body.dataset.phase === "${name}"`);

  test("a network is trained, paused, and trained again from the same seed", async () => {
    await visit("index.html?device=webassembly&train=256&val=40&epochs=1&seed=3");
    expect(await visitor.text("status")).toContain("same seed");
    const curves = () => visitor.evaluate<string>(`document.querySelector("#charts .chart").ariaLabel`);
    await visitor.click("start");
    await phase("over");
    const first = await curves();
    expect(first).toMatch(/^Loss: training [\d.]+, validation [\d.]+$/);
    expect(await visitor.text("status")).toMatch(/^Done: [\d.]+% of 40 test images are recognised, after \d+ s\.$/);
    const answered = `document.querySelectorAll("#answers figure:is(.right, .wrong)").length`;
    expect(await visitor.evaluate<number>(answered)).toBe(20);
    const colours = `new Set(document.getElementById("filters").getContext("2d").getImageData(0, 0, 200, 200).data).size`;
    expect(await visitor.evaluate<number>(colours)).toBeGreaterThan(50);

    await visitor.click("start");
    // At once, before the training can be over.
    await visitor.until(
      `document.body.dataset.phase === "running" && (document.getElementById("start").click(), true)`,
    );
    expect(await visitor.text("status")).toBe("Paused");
    await visitor.click("start");
    await phase("over");
    expect(await curves()).toBe(first);
    expect(visitor.complaints()).toEqual([]);
  });

  test("a GPU that is lost ends it with one sentence, and the report has what was done", async () => {
    await visitor.visit(new URL("gpu.html?kernels=lrn", lost.url));
    await visitor.click("start");
    await phase("over");
    expect(await visitor.text("status")).toStartWith("The device was lost: the report has what was done until then.");
    const report = await visitor.evaluate<string>(`document.getElementById("text").value`);
    expect(report).toMatch(/\*\*Ended early:\*\* checking lrn_forward: .*lost/);
    expect(visitor.complaints()).toEqual([]);
  });

  test("a seed that is none is not trained with", async () => {
    await visit("index.html?seed=-1");
    await visitor.click("start");
    expect(await visitor.evaluate<string>("document.body.dataset.phase")).toBe("idle");
  });

  test("kernels are checked and timed, and the report says it", async () => {
    await visit("gpu.html?device=webassembly&kernels=lrn_forward&seconds=1");
    await visitor.click("start");
    await phase("over");
    expect(await visitor.text("status")).toBe("Done. The report below is ready to be copied.");
    const report = await visitor.evaluate<string>(`document.getElementById("text").value`);
    expect(report).toStartWith("### `1 thread, WebAssembly without BLAS`, WebAssembly");
    expect(report).toMatch(/\*\*\d kernels?, variants included, at \d+ sizes: correct, in \d+ s\*\*/);
    expect(report).toMatch(/Roof: [\d.,]+ GFLOP\/s in registers/);
    expect(visitor.complaints()).toEqual([]);
  });
});
