import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { locate, openDataset } from "../../src/data/open.ts";
import { fetchCifar } from "../../src/data/sources/cifar.ts";
import { download } from "../../src/data/sources/download.ts";
import { allowDownloads } from "../../src/native/permission.ts";
import { temporaryFolder } from "../support/folders.ts";
import { complaint } from "../support/sets.ts";
import { tar } from "../support/tar.ts";

allowDownloads();

const { path: root, remove } = temporaryFolder();

const contents = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const record = (label: number) => Buffer.concat([Buffer.from([label]), Buffer.alloc(3072, label)]);
const archive = Bun.gzipSync(
  Buffer.from(
    tar(
      { path: "cifar-10-batches-bin/data_batch_1.bin", contents: Buffer.concat([record(3), record(9)]) },
      { path: "cifar-10-batches-bin/test_batch.bin", contents: record(5) },
    ),
  ),
);
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

const asked: (string | null)[] = [];
let server: Bun.Server<unknown>;
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      const range = request.headers.get("range");
      asked.push(range);
      const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
      if (pathname === "/cifar.tar.gz") return new Response(archive);
      if (pathname === "/whole") return new Response(contents);
      if (pathname === "/ranged" && from >= contents.length) return new Response(null, { status: 416 });
      if (pathname === "/ranged") return new Response(contents.subarray(from), { status: from > 0 ? 206 : 200 });
      if (pathname === "/silent")
        return new Response(new ReadableStream({ start: (to) => to.enqueue(contents.subarray(0, 1000)) }));
      return new Response("none", { status: 404 });
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  remove();
});

let made = 0;
function fetching(
  page: string,
  { expected = md5(contents), part, ...more }: { expected?: string; part?: Uint8Array; stallMs?: number } = {},
) {
  const path = join(root, `file${made++}`);
  if (part) writeFileSync(`${path}.part`, part);
  const lines: string[] = [];
  asked.length = 0;
  const done = download({
    url: new URL(page, server.url).href,
    path,
    md5: expected,
    progress: (line) => lines.push(line),
    ...more,
  });
  return { path, done, lines };
}

test("a file is fetched once", async () => {
  const { path, done, lines } = fetching("/whole");
  expect(await done).toBe(path);
  expect(readFileSync(path).equals(contents)).toBe(true);
  expect(lines[0]).toBe("Downloading whole: 0 of 0 MB");
  expect(existsSync(`${path}.part`)).toBe(false);
  const again = download({ url: "http://127.0.0.1:1/", path, md5: "", progress: () => {} });
  expect(await again).toBe(path);
});

test("it goes on where it ended, or anew where the server can't, and is checked as a whole", async () => {
  const part = contents.subarray(0, 123_456);
  for (const [page, range] of [
    ["/ranged", "bytes=123456-"],
    ["/whole", "bytes=123456-"],
  ] as const) {
    const { path, done } = fetching(page, { part });
    await done;
    expect(asked).toEqual([range]);
    expect(readFileSync(path).equals(contents)).toBe(true);
  }
  const complete = fetching("/ranged", { part: contents });
  await complete.done;
  expect(readFileSync(complete.path).equals(contents)).toBe(true);
});

test("another file than expected is not kept, and one that broke off is", async () => {
  const other = fetching("/ranged", { part: Buffer.alloc(100, 1) });
  expect(await complaint(other.done)).toMatch(
    /\/ranged: the download has the MD5 [0-9a-f]{32} instead of [0-9a-f]{32}: try again$/,
  );
  expect(readdirSync(root).some((name) => join(root, name).startsWith(other.path))).toBe(false);
  const silent = fetching("/silent", { stallMs: 1500 });
  expect(await complaint(silent.done)).toMatch(
    /^can't download http:.*\/silent: no data for 1.5 s: try again \(the first 0.0 MB are kept\), or download it yourself/,
  );
  expect(readFileSync(`${silent.path}.part`).length).toBe(1000);
});

test("a server that has no such file, or isn't there: one line", async () => {
  writeFileSync(join(root, "file"), "");
  const unkept = download({ url: "http://127.0.0.1:1/x", path: join(root, "file", "x"), md5: "", progress: () => {} });
  expect(await complaint(unkept)).toEndWith(
    "a file of that name exists: set ALEXNET_CACHE to a writable folder, or download it yourself and pass its path",
  );
  expect(await complaint(fetching("/none").done)).toMatch(/\/none: the server answered 404: try again, or download/);
  const away = download({ url: "http://127.0.0.1:1/x", path: join(root, "x"), md5: "", progress: () => {} });
  const message = await complaint(away);
  expect(message).toStartWith("can't download http://127.0.0.1:1/x: ");
  expect(message).not.toContain("\n");
});

test("CIFAR by name", async () => {
  const archives = { cifar10: { file: "cifar.tar.gz", md5: md5(archive) } };
  const options = { address: server.url.href, archives, folder: join(root, "cache"), progress: () => {} };
  const path = await fetchCifar("cifar10", options);
  expect(path).toBe(join(root, "cache", "cifar.tar.gz"));
  const { train, val } = await openDataset(path);
  expect([train.length, val.length, train.label(1), train.imageSize, train.place]).toEqual([2, 1, 9, 32, undefined]);
  expect(locate("cifar10")).toBe("cifar10");
  expect(locate("cifar")).toBe(resolve("cifar"));
});
