import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { cacheFolder, platformFolder } from "../../src/native/cache.ts";
import { ROOT } from "../../src/program.ts";

test("a checkout keeps its own cache, unless it is told another", () => {
  const given = process.env.ALEXNET_CACHE;
  try {
    delete process.env.ALEXNET_CACHE;
    expect(cacheFolder("native")).toBe(join(ROOT, ".cache", "native"));
    process.env.ALEXNET_CACHE = "/elsewhere";
    expect(cacheFolder("native")).toBe(join("/elsewhere", "native"));
  } finally {
    if (given === undefined) delete process.env.ALEXNET_CACHE;
    else process.env.ALEXNET_CACHE = given;
  }
});

describe.skipIf(process.platform === "win32")("a package and an executable keep it where the platform does", () => {
  const temporary = "/tmp";
  const user = process.getuid?.();
  test.each([
    ["linux", "/home/me", {}, "/home/me/.cache/alexnet"],
    ["linux", "/home/me", { XDG_CACHE_HOME: "/fast" }, "/fast/alexnet"],
    ["linux", "/home/me", { XDG_CACHE_HOME: "relative" }, "/home/me/.cache/alexnet"],
    ["darwin", "/Users/me", { XDG_CACHE_HOME: "/fast" }, "/Users/me/Library/Caches/alexnet"],
    ["win32", "/me", { LOCALAPPDATA: "/me/local" }, "/me/local/alexnet/Cache"],
    ["win32", "/me", {}, "/me/AppData/Local/alexnet/Cache"],
    // Never at the root of a disk.
    ["linux", "/", {}, `/tmp/alexnet-${user}`],
    ["linux", "", {}, `/tmp/alexnet-${user}`],
    ["darwin", "/", {}, `/tmp/alexnet-${user}`],
  ] as const)("%s, home %p, %j", (platform, home, env, folder) => {
    expect(platformFolder({ platform, home, env, temporary })).toBe(folder);
  });
});
