/**
 * `bun run site`: makes the project's page, static files that any web server can serve, in build/site. With `--serve` it
 * serves them on this machine. docs/architecture/site.md says what is in them.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json";
import { AlexNetError, UsageError } from "../src/errors.ts";
import { reason } from "../src/io/files.ts";
import { temporaryFolder } from "../src/io/temporary.ts";
import { html, Html, STYLE } from "../src/pictures/page.ts";
import { ROOT } from "../src/program.ts";
import { readKernels } from "../src/wasm/build.ts";

const SOURCE = join(ROOT, "src/web/site");
/** Where it goes. */
const SITE = join(ROOT, "build/site");

/** The pages, in the order of their links. */
const PAGES = [
  { file: "index.html", link: "Watch it learn", source: "train/page.html" },
  { file: "photo.html", link: "Try a photo" },
  { file: "gpu.html", link: "Your GPU", source: "gpu/page.html" },
] as const;

/** The scripts, by the names under which pages and workers look for them. */
const SCRIPTS = {
  train: "train/page.ts",
  train_worker: "train/worker.ts",
  gpu: "gpu/page.ts",
  gpu_worker: "gpu/worker.ts",
} as const;

/** Everything comes from the page's own folder, whatever a script may try. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
  "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

export interface SiteOptions {
  /** The folder that the files are put into. What was in it is removed. */
  readonly folder: string;
  /** The page for photos as `export --as page` makes it; without it, the site has none. */
  readonly photoPage?: string;
}

const source = (name: string) => readFileSync(join(SOURCE, name), "utf8");

/** Makes the site. @throws AggregateError when a script can't be bundled; AlexNetError when the kernels can't be built */
export async function buildSite({ folder, photoPage }: SiteOptions): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const pages = PAGES.filter(({ file }) => file !== "photo.html" || photoPage !== undefined);
  const css = STYLE + source("nav.css") + source("site.css");
  for (const { file, ...page } of pages) {
    const nav = navigation(pages, file);
    const markup = "source" in page ? filled(source(page.source), css, nav) : withNavigation(photoPage!, nav);
    writeFileSync(join(folder, file), markup);
  }
  for (const [name, entry] of Object.entries(SCRIPTS)) {
    const { outputs } = await Bun.build({
      ...{ entrypoints: [join(SOURCE, entry)], target: "browser", format: "esm", minify: true },
    });
    writeFileSync(join(folder, `${name}.js`), await outputs[0]!.text());
  }
  writeFileSync(join(folder, "kernels.wasm"), await readKernels());
}

/** A page of the site, with the parts that all have. */
function filled(template: string, css: string, nav: Html): string {
  const parts: Readonly<Record<string, string>> = {
    head: html`<meta charset="utf-8" />
      <meta http-equiv="Content-Security-Policy" content="${new Html(POLICY)}" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <link rel="icon" href="data:," />
      <style>
        ${new Html(css)}
      </style>`.markup,
    nav: nav.markup,
    version: packageJson.version,
  };
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name]!);
}

function navigation(pages: readonly (typeof PAGES)[number][], here: string): Html {
  return html`<nav class="site" aria-label="Pages">
    <b>AlexNet in TypeScript</b>
    ${pages.map(({ file, link }) =>
      file === here ? html`<a href="${file}" aria-current="page">${link}</a>` : html`<a href="${file}">${link}</a>`,
    )}
  </nav>`;
}

/**
 * The page for photos is a file of its own, with its own style and a policy that allows no other: the links come with
 * theirs, and its hash.
 */
function withNavigation(page: string, nav: Html): string {
  const style = `${source("nav.css")}.site{max-width:1000px}`;
  const hash = createHash("sha256").update(style).digest("base64");
  return page
    .replace(/\bstyle-src [^;"]+/, (policy) => `${policy} 'sha256-${hash}'`)
    .replace("<body>", () => `<body><style>${style}</style>${nav.markup}`);
}

/** `export imagenet --as page`: it fetches the network's weights when they aren't there yet. */
async function exportPhotoPage(): Promise<string> {
  using folder = temporaryFolder("alexnet-site-");
  const file = join(folder.path, "photo.html");
  const command = [process.execPath, join(ROOT, "src/main.ts"), "export", "imagenet", "--as", "page", "--out", file];
  const child = Bun.spawn(command, { cwd: ROOT, stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new AlexNetError("the page for photos can't be made: see above");
  return readFileSync(file, "utf8");
}

/** Serves a folder on this machine. @param port 0 for any that is free @throws AlexNetError when it isn't */
export function serve(folder: string, port: number) {
  try {
    return Bun.serve({
      ...{ hostname: "127.0.0.1", port },
      async fetch(request) {
        const { pathname } = new URL(request.url);
        // Only names of files in the folder: the site has no others.
        const name = pathname === "/" ? "index.html" : pathname.slice(1);
        const file = Bun.file(join(folder, name));
        if (!/^[\w.]+$/.test(name) || !(await file.exists())) return new Response("Not found", { status: 404 });
        return new Response(file, { headers: { "cache-control": "no-store" } });
      },
    });
  } catch (error) {
    throw new AlexNetError(`can't listen at port ${port}: ${reason(error)}: choose another with --port`, {
      cause: error,
    });
  }
}

const USAGE = `bun run site [--serve] [--port N] [--without-photo]

Makes the project's page, static files, in build/site.

  --serve          Serve it on this machine
  --port N         At this port (8080)
  --without-photo  Leave out the page for photos, whose weights have to be fetched once (17 MB)
  --help           Print this`;

/** @throws UsageError */
function optionsGiven() {
  const { port, ...flags } = parsed();
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return { ...flags, port: Number(port) };
  throw new UsageError(`--port ${port}: must be a number up to 65535`);
}

function parsed() {
  try {
    return parseArgs({
      options: {
        ...{ serve: { type: "boolean", default: false }, port: { type: "string", default: "8080" } },
        ...{ "without-photo": { type: "boolean", default: false }, help: { type: "boolean", default: false } },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`bun run site: ${reason(error)}; --help says what there is`, { cause: error });
  }
}

async function main(): Promise<void> {
  const options = optionsGiven();
  if (options.help) return console.log(USAGE);
  const photoPage = options["without-photo"] ? undefined : await exportPhotoPage();
  await buildSite({ folder: SITE, ...(photoPage !== undefined && { photoPage }) });
  console.log(options.serve ? serve(SITE, options.port).url.href : SITE);
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    if (!(error instanceof AlexNetError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  });
}
