import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32, deflateRawSync } from "node:zlib";
import packageJson from "../../package.json";
import { inMemory } from "../../src/io/bytes.ts";
import { replaceFileSync } from "../../src/io/files.ts";
import { openZip } from "../../src/io/zip.ts";
import { cached, failedRecently, failureNote } from "../../src/native/cache.ts";
import { fetchArchive } from "../../src/native/download.ts";
import { allowDownloads } from "../../src/native/permission.ts";
import { findBlas, findWgpu, provideBlas, provideWgpu } from "../../src/native/libraries.ts";
import { packagedFiles, PACKAGES, type PackageName } from "../../src/native/packages.ts";
import { pinnedPath, requireSha256, sha256Of, type Pinned } from "../../src/native/pins.ts";
import { OPENBLAS, WGPU, type NativeLibrary } from "../../src/native/table.ts";
import { findTurbojpeg } from "../../src/native/turbojpeg.ts";
import { temporaryFolder } from "../support/folders.ts";

const { path: folder, remove } = temporaryFolder();
afterAll(remove);

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

async function unzip(bytes: Uint8Array, path: string): Promise<Buffer> {
  const entries = await openZip(inMemory("x.zip", bytes));
  return Buffer.from(await entries.get(path)!.read());
}

test("files in a zip archive are found by path, compressed, stored or empty", async () => {
  for (const path of ["lib/libx.so", "lib/stored"]) expect((await unzip(archive, path)).equals(text)).toBe(true);
  expect((await unzip(archive, "lib/empty")).length).toBe(0);
  const commented = Buffer.concat([archive, Buffer.from("a comment")]);
  expect((await unzip(commented, "README")).toString()).toBe("read me");
});

test("a damaged zip archive is refused", async () => {
  const wanted = "lib/libx.so";
  await expect(unzip(archive.subarray(0, 100), wanted)).rejects.toThrow(/no end record/);
  await expect(unzip(archive.subarray(archive.length - 60), wanted)).rejects.toThrow(/exceeds the file/);
  let refused = 0;
  for (let at = 0; at < archive.length; at++) {
    const damaged = Buffer.from(archive);
    damaged[at] = damaged[at]! ^ 0xff;
    // The damage either does no harm to this file or is an error of ours; the library's hash is checked besides.
    let found: unknown;
    try {
      const entry = (await openZip(inMemory("x.zip", damaged))).get(wanted);
      found = (await entry?.read())?.length ?? "absent";
    } catch (error) {
      found = (error as Error).name;
      refused++;
    }
    expect([text.length, "absent", "CheckpointError"], `byte ${at}`).toContain(found as number);
  }
  expect(refused).toBeWithin(50, archive.length);
});

test("a download is whole, or an error that says why not", async () => {
  allowDownloads();
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
    await expect(fetchArchive(at("/other"))).rejects.toThrow(/answered 404/);
    await expect(fetchArchive(at("/silent"), 50)).rejects.toThrow(/no data for 0.05 s/);
  } finally {
    await server.stop(true);
  }
  await expect(fetchArchive("http://localhost:1/archive")).rejects.toThrow(/localhost:1/);
});

test("a file is written whole, and no temporary file stays", () => {
  const path = join(folder, "written", "file");
  replaceFileSync(path, text);
  replaceFileSync(path, "again");
  expect(readFileSync(path, "utf8")).toBe("again");
  expect(readdirSync(dirname(path))).toEqual(["file"]);
});

test("an environment variable that points nowhere is an error", async () => {
  await withEnvironment({ WGPU_LIB_PATH: "/nowhere.so", BLAS_LIB_PATH: "/nowhere.so" }, async () => {
    await expect(findWgpu()).rejects.toThrow(/WGPU_LIB_PATH is \/nowhere.so/);
    await expect(findBlas()).rejects.toThrow(/BLAS_LIB_PATH is \/nowhere.so/);
  });
});

/** Where a library of this platform is kept. */
function keptAt({ name, version, builds }: NativeLibrary): string {
  const platform = `${process.platform}-${process.arch}`;
  return cached(`${name}-${version}-${platform}`, builds[platform]!.file);
}

test("wgpu-native is found where the environment variable points", async () => {
  await withEnvironment({ WGPU_LIB_PATH: import.meta.path }, async () => {
    expect(await findWgpu()).toMatchObject({ path: import.meta.path, origin: "variable" });
    // It is there: nothing is fetched.
    await provideWgpu((line) => expect().fail(line));
  });
});

describe("a library that was fetched", () => {
  const elsewhere = { WGPU_LIB_PATH: undefined, BLAS_LIB_PATH: undefined, ALEXNET_CACHE: folder };

  test("must be there", async () => {
    await withEnvironment(elsewhere, async () => {
      await expect(findWgpu({ download: false })).rejects.toThrow(
        /^wgpu-native .* is not at .*: run `bun src.setup.ts`, put the file there, or set WGPU_LIB_PATH/,
      );
    });
  });

  test("must be the one that was published, at each load", async () => {
    const own = await findWgpu({ download: false });
    expect(own.origin).toBe("pinned");
    const whole = readFileSync(own.path);
    await withEnvironment(elsewhere, async () => {
      const path = keptAt(WGPU);
      replaceFileSync(path, whole);
      expect(await findWgpu({ download: false })).toMatchObject({ path, origin: "pinned" });
      const flipped = Buffer.from(whole);
      flipped[5_000_000]! ^= 1;
      for (const [what, contents] of Object.entries({ flipped, cut: whole.subarray(0, -1), empty: "" })) {
        writeFileSync(path, contents);
        const error = await findWgpu({ download: false }).catch((error: unknown) => error);
        expect(`${what}: ${error}`).toMatch(
          new RegExp(
            `^${what}: ChangedLibraryError: wgpu-native ${WGPU.version} is not the published file: the SHA-256 of ` +
              `.*libwgpu_native.so is [0-9a-f]{64}, not [0-9a-f]{64}: delete it to have it downloaded again, or set WGPU_LIB_PATH`,
          ),
        );
        // It is there, as far as set-up is concerned: nothing replaces a file behind its owner's back.
        await provideWgpu((line) => expect().fail(line));
      }
      rmSync(path);
    });
  });

  test.skipIf(process.platform !== "linux")("is loaded as it was hashed, whoever takes its name", async () => {
    const own = await findWgpu({ download: false });
    await withEnvironment(elsewhere, async () => {
      const path = keptAt(WGPU);
      const whole = readFileSync(own.path);
      replaceFileSync(path, whole);
      const { loadPath } = await findWgpu({ download: false });
      replaceFileSync(path, "another library");
      expect(readFileSync(path, "utf8")).toBe("another library");
      expect(readFileSync(loadPath).equals(whole)).toBe(true);
      rmSync(path);
    });
  });

  test.skipIf(process.platform === "win32")("is in a folder that others can't write to", async () => {
    const whole = readFileSync((await findWgpu({ download: false })).path);
    await withEnvironment(elsewhere, async () => {
      const path = keptAt(WGPU);
      replaceFileSync(path, whole);
      for (const open of [folder, join(folder, "native"), dirname(path)]) {
        const { mode } = statSync(open);
        chmodSync(open, 0o777);
        await expect(findWgpu({ download: false })).rejects.toThrow(
          `the cache folder ${open} is writable by others: make it private (chmod go-w), or set ` +
            "ALEXNET_CACHE to a folder of your own",
        );
        chmodSync(open, mode);
      }
      rmSync(path);
    });
  });

  test.skipIf(OPENBLAS.builds[`${process.platform}-${process.arch}`] === undefined)(
    "is used as BLAS only where the system has none, and only if it is the one",
    async () => {
      await withEnvironment(elsewhere, async () => {
        const path = keptAt(OPENBLAS);
        replaceFileSync(path, "not a library");
        await provideBlas((line) => expect().fail(line));
        const found = await findBlas().catch((error: unknown) => error);
        if ((found as { origin?: string }).origin !== "system") {
          expect(String(found)).toMatch(/^ChangedLibraryError: openblas .* is not the published file: .*BLAS_LIB_PATH/);
        }
        rmSync(path);
      });
    },
  );
});

test("a pinned file is the one, is another, or can't be read", async () => {
  const path = join(folder, "pinned");
  writeFileSync(path, "a library");
  // printf 'a library' | sha256sum
  const sha256 = "31f109ab38348582abdc9e1c9942f74505c719e98c6d0ab6fbcfdccfd8c9935b";
  const pinned = { what: "it", path, sha256, remedy: "do this" };
  expect(sha256Of(path)).toBe(sha256);
  pinnedPath(pinned);
  requireSha256("it", Buffer.from("a library"), sha256);
  writeFileSync(path, "a librarY");
  const another = /^it is not the published file: the SHA-256 of .*pinned is [0-9a-f]{64}, not 31f1.*: do this$/;
  expect(() => pinnedPath(pinned)).toThrow(another);
  expect(() => requireSha256("it", Buffer.from("a librarY"), sha256)).toThrow(/^it has the SHA-256 .*, not 31f1/);
  const gone = { ...pinned, path: join(folder, "gone") };
  expect(() => pinnedPath(gone)).toThrow(/gone can't be read: no such file/);
});

test("only Linux loads a file by its descriptor, even where another system shows Linux's folders, as Wine does", () => {
  const path = join(folder, "pinned");
  writeFileSync(path, "a library");
  const pinned = { what: "it", path, sha256: sha256Of(path), remedy: "do this" };
  const real = Object.getOwnPropertyDescriptor(process, "platform")!;
  Object.defineProperty(process, "platform", { ...real, value: "win32" });
  try {
    expect(pinnedPath(pinned)).toBe(path);
  } finally {
    Object.defineProperty(process, "platform", real);
  }
  if (process.platform === "linux") expect(pinnedPath(pinned)).toStartWith("/proc/self/fd/");
});

test("the packages that are installed are those of the table, and so are their files", async () => {
  for (const [name, { version, files }] of Object.entries(PACKAGES)) {
    expect({ ...packageJson.dependencies, ...packageJson.devDependencies }).toMatchObject({ [name]: version });
    for (const hash of Object.values(files)) expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(Object.values(files)).size).toBe(Object.keys(files).length);
    const here = packagedFiles(name as PackageName);
    expect(here.length).toBeGreaterThan(0);
    for (const { path, sha256 } of here) expect(sha256Of(path)).toBe(sha256);
  }
});

test("a package whose file was changed is not loaded", async () => {
  const project = join(folder, "project");
  const root = fileURLToPath(new URL("../../src/", import.meta.url));
  const own = ["add_ons.ts", "cache.ts", "embedded.ts", "libc.ts", "packages.ts", "pins.ts"].map(
    (file) => `native/${file}`,
  );
  for (const file of ["errors.ts", "program.ts", "io/files.ts", ...own, "../package.json"]) {
    cpSync(join(root, file), join(project, "src", file));
  }
  const [{ path }] = packagedFiles("@napi-rs/image") as [Pinned];
  const packageFolder = join(project, "node_modules/@napi-rs", basename(dirname(path)));
  cpSync(dirname(path), packageFolder, { recursive: true, dereference: true });
  const file = join(packageFolder, basename(path));
  const bytes = readFileSync(file);
  bytes[1_000_000]! ^= 1;
  writeFileSync(file, bytes);
  const child = Bun.spawn([process.execPath, "-e", `require("./src/native/add_ons.ts").loadImage()`], {
    cwd: project,
    stdout: "ignore",
    stderr: "pipe",
  });
  expect(await new Response(child.stderr).text()).toMatch(
    /ChangedLibraryError: @napi-rs\/image 1.15.0 is not the published file: .*: delete node_modules, run `bun pm cache rm`, and start again/,
  );
  expect(await child.exited).toBe(1);
});

test("libjpeg-turbo is the package's, unless the environment says otherwise", async () => {
  await withEnvironment({ TURBOJPEG_LIB_PATH: undefined }, async () => {
    const found = findTurbojpeg()!;
    expect(found.origin).toBe("pinned");
    expect(packagedFiles("@julusian/jpeg-turbo").map(({ path }) => path)).toContain(found.path);
    process.env.TURBOJPEG_LIB_PATH = found.path;
    expect(findTurbojpeg()).toMatchObject({ path: found.path, origin: "variable" });
    process.env.TURBOJPEG_LIB_PATH = "off";
    expect(findTurbojpeg()).toBeUndefined();
  });
});

test("pip is not looked for in the folder one stands in", async () => {
  const here = join(folder, "here");
  mkdirSync(here);
  for (const name of ["pip.py", "ssl.py", "sitecustomize.py"]) {
    writeFileSync(join(here, name), `open(${JSON.stringify(join(here, "ran"))}, "a").write(${JSON.stringify(name)})\n`);
  }
  const [download, permission] = ["download", "permission"].map((name) =>
    fileURLToPath(new URL(`../../src/native/${name}.ts`, import.meta.url)),
  );
  const wheel = { name: "no-such-wheel", version: "1", platform: "any" };
  const code = `
    import { fetchWheel } from ${JSON.stringify(download)};
    import { allowDownloads } from ${JSON.stringify(permission)};
    allowDownloads();
    await fetchWheel(${JSON.stringify(wheel)}).catch((error) => console.log(error.name));`;
  const env = { ...process.env, PIP_NO_INDEX: "1" };
  const child = Bun.spawn([process.execPath, "-e", code], { cwd: here, env, stdout: "pipe", stderr: "inherit" });
  expect(await new Response(child.stdout).text()).toBe("DeviceError\n");
  expect(existsSync(join(here, "ran"))).toBe(false);
});

test("a download that failed is not tried again on the same day", async () => {
  await withEnvironment({ WGPU_LIB_PATH: undefined, ALEXNET_CACHE: folder }, async () => {
    const library = `${WGPU.name}-${WGPU.version}-${process.platform}-${process.arch}`;
    const note = failureNote(library);
    replaceFileSync(note, "there was no network");
    await expect(provideWgpu((line) => expect().fail(line))).rejects.toThrow(/there was no network.*to try again/);
    expect(failedRecently(library)).toBe(true);
    const yesterday = Date.now() / 1000 - 25 * 60 * 60;
    utimesSync(note, yesterday, yesterday);
    expect(failedRecently(library)).toBe(false);
  });
});

test("nothing is fetched that can't be stored: the error says what to set", async () => {
  const file = join(folder, "no-folder");
  writeFileSync(file, "");
  await withEnvironment({ WGPU_LIB_PATH: undefined, ALEXNET_CACHE: file }, async () => {
    await expect(provideWgpu(() => {})).rejects.toThrow(
      /can't write .* to .*no-folder.*: part of the path is a file: set ALEXNET_CACHE to a writable folder$/,
    );
  });
});

test("every source has a hash of its own and a wheel", () => {
  const builds = [WGPU, OPENBLAS].flatMap(({ builds }) => Object.values(builds));
  for (const { sha256, wheel, inside, file } of builds) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(wheel.version).not.toBe("");
    expect(`lib/${file}`).toMatch(inside);
  }
  expect(new Set(builds.map(({ sha256 }) => sha256)).size).toBe(builds.length);
});
