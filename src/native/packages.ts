/**
 * Native files in npm packages. Bun checks a package against bun.lock when downloading it, but not when taking it from
 * its cache, nor later; so each file is checked here before it is loaded.
 *
 * To update a version: `bun install --os='*' --cpu='*'` in an empty folder installs the files of all platforms except
 * musl's, for which use `npm pack`.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installation, ROOT } from "../program.ts";
import type { Pinned } from "./pins.ts";

export type PackageName = "@julusian/jpeg-turbo" | "@napi-rs/image" | "@resvg/resvg-js";

interface NativePackage {
  readonly version: string;
  /** SHA-256 by file, relative to the package's name: "/…" is in the package itself, "-PLATFORM/…" in a platform's. */
  readonly files: Readonly<Record<string, string>>;
}

export const PACKAGES: Readonly<Record<PackageName, NativePackage>> = {
  "@julusian/jpeg-turbo": {
    version: "3.0.1",
    files: {
      "/prebuilds/jpeg-turbo-darwin-arm64/node-napi-v10.node":
        "16c31658a4ec0c0b428dec89ac14cd3379868dd93a22341e86bb45c8087f8fdf",
      "/prebuilds/jpeg-turbo-darwin-x64/node-napi-v10.node":
        "6313a3f7b47ef0d5942cb96c8549ff5017440ccd9f0fe15b4bdb4c4aab2c7fbd",
      "/prebuilds/jpeg-turbo-linux-arm64/libturbojpeg.so.0":
        "a84dbc892b9e438c72022bc6ad892400d21ffdf5d7184928d59807371b7c86d5",
      "/prebuilds/jpeg-turbo-linux-x64/libturbojpeg.so.0":
        "6facda09ef3e2308608f2b0214c040791e276305a48a27036362402f95fffcf5",
      "/prebuilds/jpeg-turbo-linux-x64-musl/libturbojpeg.so.0":
        "f0ab907a77c73f2450725e9236abd999b731be1adda2fa80cc9b5d2b4d780241",
    },
  },
  "@napi-rs/image": {
    version: "1.15.0",
    files: {
      "-darwin-arm64/image.darwin-arm64.node": "bb9dfd70b7ecb3002008b034882e41f0c3cff2618c725bd465538e988fc79798",
      "-darwin-x64/image.darwin-x64.node": "6179b33021a5714f36f822a67d721f29d35715e643b4dafde413b1ddf0dce5a0",
      "-linux-arm64-gnu/image.linux-arm64-gnu.node": "018444bd3c005faef2a032fa85d47b1d959f884166348da0579911606f7d4831",
      "-linux-arm64-musl/image.linux-arm64-musl.node":
        "10fb16e27d7cccd869f4213d7d038a6cde9639bc8bc53a8684189e4032369afe",
      "-linux-x64-gnu/image.linux-x64-gnu.node": "2ebadf7ab89355b76580dda2dce9ad28df0873af62296862ebeaa94d8a87b4c5",
      "-linux-x64-musl/image.linux-x64-musl.node": "e8dac9890cd707a2422c16c04dcedf49c3539c3a70f75d9e7142b193b364c00b",
      "-win32-arm64-msvc/image.win32-arm64-msvc.node":
        "bc9d3a075ec09895e2134b8f427027eb84c39d66d7c66ad1f9f8462b0d3b59d2",
      "-win32-x64-msvc/image.win32-x64-msvc.node": "1da832b8a97a48be85ca7fd9374009c45056504bb97fe2ad698afd50bcbb7737",
    },
  },
  "@resvg/resvg-js": {
    version: "2.6.2",
    files: {
      "-darwin-arm64/resvgjs.darwin-arm64.node": "0f5288bc516ad6e30e9df0a660edf44d05ddb528beaf2eba10291ae6822bba78",
      "-darwin-x64/resvgjs.darwin-x64.node": "750e5fb6412034ca01abd3cf580b2567ce78e783bc44e2540cb67dd84b0660ad",
      "-linux-arm64-gnu/resvgjs.linux-arm64-gnu.node":
        "e32d9868d6d5407af3d2a5bca404bcd3b92a53816e3c6d807dcf23d93592c153",
      "-linux-arm64-musl/resvgjs.linux-arm64-musl.node":
        "b719b4ff2c782420f88891fc2685797eb6a83fbe48ddfbd4f9f6a1530f4e666c",
      "-linux-x64-gnu/resvgjs.linux-x64-gnu.node": "56c967fa1e26484021a1a32d5b4e6b75cfe789ce396d58ec1bb87f4d7e7d39b8",
      "-linux-x64-musl/resvgjs.linux-x64-musl.node": "36c4b162f6ac0c1b41a03081b9a2ef60d256bc923c91cccb2e91b032fd405461",
      "-win32-arm64-msvc/resvgjs.win32-arm64-msvc.node":
        "d11881fd12f25a81761fd46f59fdf56d34693673f40caca2145cf66d16ac85ae",
      "-win32-x64-msvc/resvgjs.win32-x64-msvc.node": "a762c7c3d34a0083e50e44a88b6bb95bbc156386ae473e6eb7231c27cb23c04d",
    },
  },
};

/** A package's installed files for this platform. Linux may have two, for glibc and musl. */
export function packagedFiles(name: PackageName): Pinned[] {
  const { version, files } = PACKAGES[name];
  const here = `-${process.platform}-${process.arch}`;
  return Object.entries(files)
    .filter(([file]) => file.includes(`${here}/`) || file.includes(`${here}-`))
    .flatMap(([file, sha256]) => {
      const path = locate(name, file);
      const remedy =
        installation === "executable"
          ? "download the program again"
          : "delete node_modules, run `bun pm cache rm`, and start again";
      return path ? [{ what: `${name} ${version}`, path, sha256, remedy }] : [];
    });
}

/** Where packaging/build.ts puts native files that come with the program, under the names of their packages. */
const OWN = join(ROOT, "native");

/** The path of a file, if it exists. */
function locate(name: PackageName, file: string): string | undefined {
  const own = join(OWN, `${name}${file}`);
  if (existsSync(own)) return own;
  const [suffix, ...inside] = file.split("/");
  try {
    const folder = dirname(fileURLToPath(import.meta.resolve(`${name}${suffix}/package.json`)));
    const path = join(folder, ...inside);
    return existsSync(path) ? path : undefined;
  } catch {
    // Another platform's package, not installed here.
    return undefined;
  }
}
