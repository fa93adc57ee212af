/** Native add-ons from npm packages, verified and loaded on first use. */
import { requirePackage } from "./packages.ts";

type Image = typeof import("@napi-rs/image");
type Resvg = typeof import("@resvg/resvg-js");

let image: Image | undefined;
let resvg: Resvg | undefined;

/** Decodes and encodes images. @throws ChangedLibraryError */
export function loadImage(): Image {
  if (image) return image;
  requirePackage("@napi-rs/image");
  return (image = require("@napi-rs/image") as Image);
}

/** Renders SVG. @throws ChangedLibraryError */
export function loadResvg(): Resvg {
  if (resvg) return resvg;
  requirePackage("@resvg/resvg-js");
  return (resvg = require("@resvg/resvg-js") as Resvg);
}
