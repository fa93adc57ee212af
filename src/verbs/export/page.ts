/**
 * A trained network as a page: one self-contained HTML file that classifies photos where it is opened. It has the weights,
 * the kernels and the scripts inside. Its content security policy lets it run these scripts, and load nothing.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { size } from "../../engine/tensor.ts";
import { AlexNetError } from "../../errors.ts";
import { replaceFile } from "../../io/files.ts";
import { temporaryFolder } from "../../io/temporary.ts";
import type { Network } from "../../net/recipe.ts";
import { html, STYLE } from "../../pictures/page.ts";
import { VERSION } from "../../program.ts";
import { storedIn, type Weights } from "../../runs/weights.ts";
import { readKernels } from "../../wasm/build.ts";
import imported from "../../web/photo/page.html" with { type: "text" };
import type { PageSettings } from "./page_settings.ts";
import { writeCheckpoint, type Checkpoint } from "../../weights/checkpoint.ts";
import { factsOf } from "./page_facts.ts";
import { pageScripts } from "./page_scripts.ts";

// Bun's types know HTML files only as bundles, whatever the import attribute says.
const template = imported as unknown as string;

/** As base64 they are a third longer, and Chromium's longest text has 2^29 letters. */
const MOST_BYTES = 400e6;

/** @throws AlexNetError when it can't be written, or is too large for browsers */
export async function writePage(
  path: string,
  { checkpoint, network, weights }: { checkpoint: Checkpoint; network: Network; weights: Weights },
  settings: PageSettings,
): Promise<void> {
  const [scripts, file, kernels] = [await pageScripts(), await halfPrecision(checkpoint, network), await readKernels()];
  const { title, subtitle, about, footer } = factsOf(weights, network, checkpoint.classes);
  const text = (words: string) => html`${words}`.markup;
  const parts: Readonly<Record<string, string>> = {
    ...{ version: VERSION, style: STYLE, script: `<script>${scripts.page}</script>` },
    ...{ title: text(title), subtitle: text(subtitle), about: about.markup, footer: text(footer) },
    settings: JSON.stringify(settings),
    ...{ worker: packed(Buffer.from(scripts.worker)), kernels: packed(kernels), weights: packed(file) },
  };
  const page = template.replace(/\{\{(\w+)\}\}/g, (all, name: string) => parts[name] ?? all);
  // The first place is in the policy itself, whatever a class is called.
  const whole = page.replace("{{policy}}", () => policyFor(page));
  await replaceFile(path, (append) => append(Buffer.from(whole)));
}

/** A checkpoint of what is needed to compute: its bytes. */
async function halfPrecision(checkpoint: Checkpoint, network: Network): Promise<Uint8Array<ArrayBuffer>> {
  const { classes, mean, calibration } = checkpoint;
  const calibrated = calibration && { calibration, prototypes: checkpoint.prototypes() };
  using folder = temporaryFolder("alexnet-page-");
  const path = join(folder.path, "weights.safetensors");
  const parameters = storedIn(checkpoint, network);
  const bytes = parameters.reduce((sum, { shape }) => sum + 2 * size(shape), 0);
  if (bytes > MOST_BYTES) {
    throw new AlexNetError(
      `${checkpoint.path}: its weights take ${Math.round(bytes / 1e6)} MB in half precision, a page has room for ` +
        `${MOST_BYTES / 1e6} MB: export a smaller network`,
    );
  }
  await writeCheckpoint(path, { network, classes, mean, state: null, half: true, parameters, calibrated });
  return readFileSync(path);
}

const packed = (bytes: Uint8Array<ArrayBuffer>): string =>
  Buffer.from(Bun.gzipSync(bytes, { level: 9 })).toString("base64");

/** Allows the page's own style and script, by their hashes, and what these make themselves. */
function policyFor(page: string): string {
  const hashOf = (element: "style" | "script") => {
    const [, text] = new RegExp(`<${element}>([^]*?)</${element}>`).exec(page)!;
    return `'sha256-${createHash("sha256").update(text!).digest("base64")}'`;
  };
  return [
    "default-src 'none'",
    `script-src ${hashOf("script")} 'wasm-unsafe-eval'`,
    "worker-src blob:",
    `style-src ${hashOf("style")}`,
    "img-src blob:",
    "media-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}
