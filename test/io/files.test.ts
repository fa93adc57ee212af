/** Files that are not what they seem: links that lead elsewhere, pipes, devices, and sizes that fill the memory. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { AlexNetError } from "../../src/errors.ts";
import {
  appendToFile,
  openToRead,
  openToWrite,
  readFileUpTo,
  readPlainFile,
  replaceFile,
  replaceFileSync,
  requirePlainFolder,
} from "../../src/io/files.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const make = (...names: string[]) => {
  mkdirSync(at(...names), { recursive: true });
  return at(...names);
};
const pipe = (path: string) => expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
const hasPipes = process.platform !== "win32";

describe("what is written", () => {
  test("takes the place of a link, and leaves alone what the link leads to", async () => {
    make("replace");
    writeFileSync(at("outside"), "mine");
    symlinkSync(at("outside"), at("replace", "file"));
    await replaceFile(at("replace", "file"), (append) => append(Buffer.from("new")));
    expect(lstatSync(at("replace", "file")).isFile()).toBe(true);
    symlinkSync(at("outside"), at("replace", "other"));
    replaceFileSync(at("replace", "other"), "new");
    expect(readFileSync(at("replace", "other"), "utf8")).toBe("new");
    expect(readFileSync(at("outside"), "utf8")).toBe("mine");
  });

  test.skipIf(!hasPipes)("never takes the place of a pipe or a device, as /dev/null is one", async () => {
    make("special");
    pipe(at("special", "pipe"));
    symlinkSync("/dev/null", at("special", "device"));
    for (const kind of ["pipe", "device"]) {
      const writing = replaceFile(at("special", kind), () => Promise.reject(new Error("it was written to")));
      await expect(writing).rejects.toThrow(`can't write ${at("special", kind)}: it is a ${kind}`);
      await expect(writing).rejects.toBeInstanceOf(AlexNetError);
    }
    expect(lstatSync(at("special", "pipe")).isFIFO()).toBe(true);
    expect(lstatSync(at("special", "device")).isSymbolicLink()).toBe(true);
    expect(readdirSync(at("special")).sort()).toEqual(["device", "pipe"]);
  });

  test("goes through a temporary file with an unguessable name", async () => {
    make("temporary");
    const names = new Set<string>();
    for (let i = 0; i < 2; i++) {
      await replaceFile(at("temporary", "file"), () => {
        for (const name of readdirSync(at("temporary"))) if (name !== "file") names.add(name);
      });
    }
    expect([...names]).toEqual([
      expect.stringMatching(/^file\.[0-9a-f]{16}\.tmp$/),
      expect.stringMatching(/^file\.[0-9a-f]{16}\.tmp$/),
    ]);
    expect(readdirSync(at("temporary"))).toEqual(["file"]);
  });

  test("is never added to a link, a pipe or a folder", () => {
    make("append", "folder");
    symlinkSync(at("outside"), at("append", "link"));
    symlinkSync(at("append", "nowhere"), at("append", "dangling"));
    for (const name of ["link", "dangling"]) {
      expect(() => appendToFile(at("append", name), "more")).toThrow("it is a symbolic link");
    }
    expect(existsSync(at("append", "nowhere"))).toBe(false);
    expect(() => appendToFile(at("append", "folder"), "more")).toThrow();
    appendToFile(at("append", "file"), "one, ");
    appendToFile(at("append", "file"), Buffer.from("two"));
    expect(readFileSync(at("append", "file"), "utf8")).toBe("one, two");
  });

  test("that is begun or added to, follows no link either", () => {
    make("open");
    symlinkSync(at("outside"), at("open", "link"));
    for (const how of ["new", "add"] as const) {
      expect(() => openToWrite(at("open", "link"), how)).toThrow("it is a symbolic link");
    }
    for (const [how, text] of [
      ["new", "one"],
      ["add", " two"],
      ["new", "3"],
    ] as const) {
      const file = openToWrite(at("open", "file"), how);
      writeSync(file, text);
      closeSync(file);
    }
    expect(readFileSync(at("open", "file"), "utf8")).toBe("3");
    expect(readFileSync(at("outside"), "utf8")).toBe("mine");
  });
});

describe("what is read", () => {
  test("of a folder of somebody else's, is files in it", () => {
    make("read");
    writeFileSync(at("read", "file"), "12345678");
    symlinkSync(at("read", "file"), at("read", "link"));
    expect(readPlainFile(at("read", "file"), 8).toString()).toBe("12345678");
    expect(() => readPlainFile(at("read", "link"), 8)).toThrow("it is a symbolic link");
    expect(readFileUpTo(at("read", "link"), 8).toString()).toBe("12345678");
  });

  test("is no larger than such a file may be", () => {
    for (const read of [readPlainFile, readFileUpTo]) {
      expect(() => read(at("read", "file"), 7)).toThrow("it has 8 bytes; at most 7 are allowed here");
    }
  });

  test.skipIf(!hasPipes)("never waits for a pipe, nor reads a device to its end", () => {
    pipe(at("read", "pipe"));
    for (const read of [readPlainFile, readFileUpTo, openToRead]) {
      expect(() => read(at("read", "pipe"), 8)).toThrow("it is a pipe");
      expect(() => read("/dev/zero", 8)).toThrow("it is a device");
      expect(() => read(at("read"), 8)).toThrow("it is a folder");
    }
  });
});

test("a folder with anything but files and folders, at any depth, is refused", () => {
  make("plain", "a", "b");
  writeFileSync(at("plain", "a", "b", "file"), "");
  requirePlainFolder(at("plain"));
  symlinkSync("/etc", at("plain", "a", "b", "link"));
  expect(() => requirePlainFolder(at("plain"))).toThrow(AlexNetError);
  expect(() => requirePlainFolder(at("plain"))).toThrow(
    /link is a symbolic link; only files and folders are allowed here: remove it$/,
  );
});
