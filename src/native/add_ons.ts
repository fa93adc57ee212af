/**
 * Native add-ons from npm packages, loaded on first use. What is loaded is the very file whose hash was checked, so the
 * packages' own loaders are only used on platforms for which no file is pinned.
 */
import { DeviceError } from "../errors.ts";
import { packagedFiles, type PackageName } from "./packages.ts";
import { pinnedPath } from "./pins.ts";

type Image = typeof import("@napi-rs/image");
type Resvg = Pick<typeof import("@resvg/resvg-js"), "Resvg" | "renderAsync">;

/** What resvg's add-on itself exports: options are JSON. */
interface ResvgBinding {
  readonly Resvg: new (svg: string, options: string) => InstanceType<Resvg["Resvg"]>;
  renderAsync(svg: string, options: string): ReturnType<Resvg["renderAsync"]>;
}

let image: Image | undefined;
let resvg: Resvg | undefined;

/** Decodes and encodes images. @throws ChangedLibraryError; DeviceError when it can't be loaded */
export function loadImage(): Image {
  return (image ??= (loadAddOn("@napi-rs/image") as Image | undefined) ?? (require("@napi-rs/image") as Image));
}

/** Renders SVG. @throws ChangedLibraryError; DeviceError when it can't be loaded */
export function loadResvg(): Resvg {
  return (resvg ??=
    bound(loadAddOn("@resvg/resvg-js") as ResvgBinding | undefined) ?? (require("@resvg/resvg-js") as Resvg));
}

function bound(binding: ResvgBinding | undefined): Resvg | undefined {
  if (!binding) return undefined;
  class Renderer extends binding.Resvg {
    constructor(svg: string | Buffer, options: object = {}) {
      super(svg as string, JSON.stringify(options));
    }
  }
  return {
    Resvg: Renderer as Resvg["Resvg"],
    renderAsync: (svg, options = {}) => binding.renderAsync(svg as string, JSON.stringify(options)),
  };
}

/** What a package's add-on for this platform exports; undefined when the package has none that is pinned. */
function loadAddOn(name: PackageName): unknown {
  const files = packagedFiles(name);
  const failures: string[] = [];
  // Linux may have two files, of which the C library takes one.
  for (const file of files) {
    const loaded = { exports: {} };
    try {
      process.dlopen(loaded, pinnedPath(file));
      return loaded.exports;
    } catch (error) {
      // Anything else is a file that is not the published one.
      if (!(error instanceof Error) || (error as { code?: string }).code !== "ERR_DLOPEN_FAILED") throw error;
      failures.push(error.message);
    }
  }
  if (files.length === 0) return undefined;
  throw new DeviceError(`${name} can't be loaded: ${failures.join("; ")}`);
}
