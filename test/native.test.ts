import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { cached, failedLately, failureNote, writeAtomically } from "../src/native/cache.ts";
import { fetchArchive } from "../src/native/download.ts";
import { findBlas, findWgpu } from "../src/native/libraries.ts";
import { OPENBLAS, WGPU } from "../src/native/table.ts";
import { unzip } from "../src/native/zip.ts";

const folder = mkdtempSync(join(tmpdir(), "native-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `body` with environment variables set, or unset where undefined. */
async function withEnvironment(
  variables: Record<string, string | undefined>,
  body: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(variables)) set(name, value);
  try {
    await body();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

/** A zip archive as the format's specification (APPNOTE.TXT) describes it. */
function zip(files: readonly { path: string; data: Uint8Array; stored?: boolean }[]): Buffer {
  const [locals, entries]: Buffer[][] = [[], []];
  let offset = 0;
  for (const { path, data, stored = false } of files) {
    const name = Buffer.from(path);
    const packed = stored ? data : deflateRawSync(data);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(stored ? 0 : 8, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, name, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    entries!.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), common, tail, name]));
    locals!.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries!);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals!, directory, end]);
}

const text = Buffer.from("a library ".repeat(1000));
const archive = zip([
  { path: "README", data: Buffer.from("read me") },
  { path: "lib/libx.so", data: text },
  { path: "lib/empty", data: Buffer.alloc(0) },
  { path: "lib/stored", data: text, stored: true },
]);

test("unzip finds a file by its path, packed, stored or empty", () => {
  for (const path of ["lib/libx.so", "lib/stored"]) {
    expect(Buffer.from(unzip(archive, (name) => name === path)).equals(text)).toBe(true);
  }
  expect(unzip(archive, (name) => name === "lib/empty").length).toBe(0);
  const commented = Buffer.concat([archive, Buffer.from("a comment")]);
  expect(Buffer.from(unzip(commented, (name) => name === "README")).toString()).toBe("read me");
});

test("unzip refuses what is damaged, too large or absent", () => {
  const wanted = (name: string) => name === "lib/libx.so";
  expect(() => unzip(archive, () => false)).toThrow(/does not have the file/);
  expect(() => unzip(archive, wanted, 100)).toThrow(/10000 bytes, more than 100/);
  expect(() => unzip(archive.subarray(0, 100), wanted)).toThrow(/not an archive/);
  expect(() => unzip(archive.subarray(archive.length - 60), wanted)).toThrow(/ends too early|damaged/);
  for (let at = 0; at < archive.length; at++) {
    const damaged = Buffer.from(archive);
    damaged[at] = damaged[at]! ^ 0xff;
    // Either the damage does no harm to this file, or it is an error of ours; the library's hash is checked besides.
    try {
      unzip(damaged, wanted);
    } catch (error) {
      expect((error as Error).name).toBe("DeviceError");
    }
  }
});

test("a download is whole, or an error that says why not", async () => {
  const server = Bun.serve({
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/archive") return new Response(archive);
      if (pathname === "/silent") return new Promise<Response>(() => {});
      return new Response("no", { status: 404 });
    },
  });
  try {
    const at = (path: string) => `http://localhost:${server.port}${path}`;
    expect(Buffer.from(await fetchArchive(at("/archive"))).equals(archive)).toBe(true);
    await expect(fetchArchive(at("/other"))).rejects.toThrow(/answers 404/);
    await expect(fetchArchive(at("/silent"), 50)).rejects.toThrow(/nothing came for 0.05 s/);
  } finally {
    await server.stop(true);
  }
  await expect(fetchArchive("http://localhost:1/archive")).rejects.toThrow(/localhost:1/);
});

test("a file is written whole, and no temporary file stays", () => {
  const path = join(folder, "written", "file");
  writeAtomically(path, text);
  writeAtomically(path, "again");
  expect(readFileSync(path, "utf8")).toBe("again");
  expect(readdirSync(dirname(path))).toEqual(["file"]);
});

test("an environment variable that points nowhere is an error", async () => {
  await withEnvironment({ WGPU_LIB_PATH: "/nowhere.so", BLAS_LIB_PATH: "/nowhere.so" }, async () => {
    await expect(findWgpu()).rejects.toThrow(/WGPU_LIB_PATH is \/nowhere.so/);
    await expect(findBlas()).rejects.toThrow(/BLAS_LIB_PATH is \/nowhere.so/);
  });
});

test("wgpu-native is found where the environment variable points, or in the cache", async () => {
  await withEnvironment({ WGPU_LIB_PATH: import.meta.path }, async () => {
    expect(await findWgpu()).toBe(import.meta.path);
  });
  const source = WGPU.sources[`${process.platform}-${process.arch}`];
  await withEnvironment({ WGPU_LIB_PATH: undefined, ALEXNET_CACHE: folder }, async () => {
    await expect(findWgpu({ download: false })).rejects.toThrow(/is not at .*put the file there, or set WGPU_LIB_PATH/);
    const path = cached(`${WGPU.name}-${WGPU.version}-${process.platform}-${process.arch}`, source!.file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    expect(await findWgpu({ download: false })).toBe(path);
    rmSync(path);
  });
});

test("a download that failed is not tried again on the same day", async () => {
  await withEnvironment({ WGPU_LIB_PATH: undefined, ALEXNET_CACHE: folder }, async () => {
    const library = `${WGPU.name}-${WGPU.version}-${process.platform}-${process.arch}`;
    const note = failureNote(library);
    writeAtomically(note, "there was no network");
    const said: string[] = [];
    await expect(findWgpu({ onProgress: (line) => said.push(line) })).rejects.toThrow(
      /there was no network.*to try again/,
    );
    expect(said).toEqual([]);
    expect(failedLately(library)).toBe(true);
    const yesterday = Date.now() / 1000 - 25 * 60 * 60;
    utimesSync(note, yesterday, yesterday);
    expect(failedLately(library)).toBe(false);
  });
});

test("every source has a hash of its own and a wheel", () => {
  const sources = [WGPU, OPENBLAS].flatMap(({ sources }) => Object.values(sources));
  for (const { sha256, wheel, inside, file } of sources) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(wheel.version).not.toBe("");
    expect(`lib/${file}`).toMatch(inside);
  }
  expect(new Set(sources.map(({ sha256 }) => sha256)).size).toBe(sources.length);
});
