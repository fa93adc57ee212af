/** Exported pages: what is in the file, and that it answers in a browser as predict does. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { small } from "../../src/net/cifar_networks.ts";
import { Run } from "../../src/runs/runs.ts";
import { exportModel } from "../../src/verbs/export/export.ts";
import { factsOf } from "../../src/verbs/export/page_facts.ts";
import { predict } from "../../src/verbs/predict/predict.ts";
import { tensorsIn, unpack } from "../../src/web/photo/unpack.ts";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import { CHROMIUM, isChromiumRequired } from "../support/chromium.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { drawn, withOrientation } from "../support/images.ts";
import { openPhotoPage } from "../support/photo_page.ts";

setDefaultTimeout(240_000);

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (...names: string[]) => join(folder.path, ...names);

/** What an element of the page holds. */
const block = (page: string, id: string): string => new RegExp(`id="${id}">([^]*?)</script>`).exec(page)![1]!.trim();

describe("the file", () => {
  let page: string;
  beforeAll(async () => {
    const { files } = await exportModel({ model: "cifar10", out: at("cifar10.html") });
    expect(files).toEqual([at("cifar10.html")]);
    page = readFileSync(files[0]!, "utf8");
  });

  test("names no address, and its policy allows none", () => {
    expect(/https?:|\burl\(|@import|<link|<iframe/.exec(page)?.[0]).toBeUndefined();
    const policy = /Content-Security-Policy" content="([^"]+)"/.exec(page)![1]!;
    expect(policy).toContain("default-src 'none'");
    const sources = policy.split("; ").flatMap((rule) => rule.split(" ").slice(1));
    const scripts = [...page.matchAll(/<(?:script|style)>([^]*?)<\/(?:script|style)>/g)].map(
      ([, text]) => `'sha256-${createHash("sha256").update(text!).digest("base64")}'`,
    );
    expect(scripts).toHaveLength(2);
    expect(sources.toSorted()).toEqual(
      ["'none'", "'none'", "'none'", "'wasm-unsafe-eval'", "blob:", "blob:", "blob:", ...scripts].toSorted(),
    );
  });

  test("has the weights in half precision, the kernels, and scripts for browsers", async () => {
    const { metadata, tensors } = tensorsIn(await unpack(block(page, "weights")));
    using whole = openSafetensors("models/cifar10.safetensors");
    expect(JSON.parse(metadata["classes"]!)).toEqual(JSON.parse(whole.metadata["classes"]!));
    const weight = [...tensors.keys()].find((name) => name.endsWith(".weight"))!;
    expect(tensors.get(weight)!.read()).toEqual(whole.tensors.get(weight)!.read().map(Math.f16round));
    const kernels = await WebAssembly.compile(await unpack(block(page, "kernels")));
    expect(WebAssembly.Module.exports(kernels).map(({ name }) => name)).toContain("resizeRows");
    const worker = new TextDecoder().decode(await unpack(block(page, "worker")));
    expect(worker).not.toMatch(/\bBun\.|"node:|import\.meta/);
    // What the training kept to resume, and where it did so, is nobody's business.
    expect(metadata["state"]).toBe("null");
  });

  test("says when an option belongs to other kinds", async () => {
    const refused = async (options: object, message: string) =>
      expect(exportModel({ model: "cifar10", out: at("no"), ...options })).rejects.toThrow(message);
    await refused({ as: "page", logits: true }, 'logits is only for as: "onnx"; a page shows no logits');
    await refused({ as: "onnx", atLeast: 0.7 }, 'atLeast is only for as: "page"');
    await refused({ as: "page", atLeast: 7 }, "atLeast 7: must be a probability above 0, up to 1");
    await refused({ out: at("page.htm") }, "as htm: must be onnx, safetensors, checkpoint or page");
  });
});

describe("what it says", () => {
  const nobodys = { path: at("x.safetensors"), config: () => expect.unreachable() };

  test("a question of a few classes, and their names as text", () => {
    const { title, about } = factsOf({ ...nobodys, origin: "own" }, small, ["ants", "<b>bees</b>"]);
    expect(title).toBe("Ants or <b>bees</b>?");
    expect(about.markup).toContain("ants and &#60;b&#62;bees&#60;/b&#62;");
    const many = Array.from({ length: 400 }, (_, i) => `class ${i}`);
    const facts = factsOf({ ...nobodys, origin: "own" }, small, many);
    expect(facts.title).toBe("What is in the photo?");
    for (const name of many) expect(facts.about.markup).toContain(`<span>${name}</span>`);
  });

  test("how good the run was, and where its weights began", () => {
    const run = new Run(at("run"));
    mkdirSync(run.path);
    const means = (top1: number) => ({ loss: 1, top1, top5: 0 });
    const epoch = (epoch: number, top1: number) => ({ ...{ epoch, step: epoch, rate: 0.1, imagesPerSecond: 1, dataWait: 0, seconds: 1 }, train: means(0), val: means(top1) }); // prettier-ignore
    writeFileSync(run.logFile, [epoch(1, 0.2), epoch(2, 0.1)].map((line) => `${JSON.stringify(line)}\n`).join(""));
    writeFileSync(run.best, "");
    writeFileSync(run.confusionFile, JSON.stringify({ epoch: 2, classes: ["a", "b"], entries: [[0, 0, 9], [1, 0, 1]] })); // prettier-ignore
    const config = () => ({ from: "/elsewhere/efficientnet-lite0-57934424.pth.safetensors" }) as never;
    const { subtitle, about } = factsOf({ path: run.best, origin: "own", run, config }, small, ["a", "b"]);
    expect(subtitle).toContain("accuracy 90.0%");
    expect(about.markup).toContain(
      "Accuracy: 90.0% of 10 validation photos (95% interval: 59.6% to 98.2%). Trained until ",
    );
    expect(about.markup).toContain(
      "It began as EfficientNet-Lite0, trained on ImageNet. Licence of those weights: Apache-2.0.",
    );
  });
});

describe.skipIf(!CHROMIUM && !isChromiumRequired)("in Chromium", () => {
  const photos = ["waves.jpg", "turned.jpg", "clear.png"];
  beforeAll(async () => {
    const waves = drawn(180, 120, (x, y) => [128 + 90 * Math.sin(x / 9), (y * 2) % 256, (x * y) % 256]);
    const clear = drawn(90, 140, (x, y) => [x, y, 200, x > 30 ? 255 : 80]);
    const jpeg = await waves.jpeg(92);
    await writeFiles(folder.path, {
      "waves.jpg": jpeg,
      "turned.jpg": withOrientation(jpeg, 6),
      "clear.png": await clear.png(),
    });
    writeFileSync(at("broken.jpg"), "no photo");
    writeFileSync(at("phone.heic"), Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic"));
  });

  // On WebGPU too by test/portability/page.ts: without a GPU that takes a minute.
  test("it answers as predict does", async () => {
    const { predictions } = await predict({
      images: photos.map((name) => at(name)),
      model: "cifar10",
      device: "cpu",
      threads: 1,
    });
    await using page = await openPhotoPage(at("cifar10.html"), "webassembly");
    for (const prediction of predictions) {
      if ("error" in prediction) throw new Error(prediction.error);
      const shown = await page.classify(prediction.image);
      expect(shown.map(({ name }) => name)[0]).toBe(prediction.classes[0]!.name);
      for (const { name, probability } of prediction.classes) {
        const found = shown.find((each) => each.name === name);
        // Of two classes of about the same probability either may be the fifth.
        if (found) expect(found.probability).toBeWithin(probability - 0.01, probability + 0.01);
      }
    }
    expect(await page.text("time")).toMatch(/^\d+ ms on WebAssembly/);
    expect(await page.complaints()).toEqual([]);
  });

  test("a list, the map of a class, files that are no photos, and the camera", async () => {
    await using page = await openPhotoPage(at("cifar10.html"), "webassembly");
    await page.choose([...photos, "broken.jpg", "phone.heic"].map((name) => at(name)));
    await page.until(`document.querySelectorAll("#photos b").length === 5`);
    const words = await page.page.evaluate<string[]>(
      `[...document.querySelectorAll("#photos b")].map((each) => each.textContent)`,
    );
    expect(words.slice(3)).toEqual(["no answer", "no answer"]);
    expect(await page.page.evaluate(`document.querySelectorAll("#photos [aria-current]").length`)).toBe(1);
    await page.page.evaluate(`document.querySelectorAll(".class")[1].click()`);
    await page.until(`!document.getElementById("map").hidden`);
    expect(await page.text("what")).toBe(
      await page.page.evaluate(`document.querySelector("[aria-pressed=true] span").textContent`),
    );
    await page.page.evaluate(`document.querySelectorAll("#photos button")[4].click()`);
    await page.until(`/^phone.heic: it is a HEIC photo/.test(document.getElementById("problem").textContent)`);
    await page.page.evaluate(`document.querySelectorAll("#photos button")[3].click()`);
    await page.until(`/^broken.jpg: it is no image/.test(document.getElementById("problem").textContent)`);
    await page.click("#clear");
    // The camera answers, and its picture joins the list.
    await page.click("#camera");
    await page.until(`document.querySelector("#classes li") && !document.getElementById("video").hidden`);
    await page.click("#shutter");
    await page.until(`document.querySelector("#photos b") && document.getElementById("video").hidden`);
    expect(await page.text("name")).toBe("photo 1");
    // A double click opens one stream, which stopping ends.
    await page.page.evaluate(`{
      const { mediaDevices } = navigator;
      const open = mediaDevices.getUserMedia.bind(mediaDevices);
      globalThis.streams = [];
      mediaDevices.getUserMedia = (wish) => open(wish).then((stream) => (streams.push(stream), stream));
      for (let click = 0; click < 2; click++) document.getElementById("camera").click();
    }`);
    await page.until(`streams.length > 0 && !document.getElementById("video").hidden`);
    await page.click("#stop");
    const states = `streams.flatMap((stream) => stream.getTracks()).map(({ readyState }) => readyState)`;
    expect(await page.page.evaluate<string[]>(states)).toEqual(["ended"]);
    const refusal = `Promise.reject(new DOMException("", "NotAllowedError"))`;
    await page.page.evaluate(`void (navigator.mediaDevices.getUserMedia = () => ${refusal})`);
    await page.click("#camera");
    await page.until(`/^The camera was refused: allow it/.test(document.getElementById("problem").textContent)`);
    expect(await page.complaints()).toEqual([]);
  });
});
