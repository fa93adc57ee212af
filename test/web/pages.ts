/** Bundles programs for pages, and serves them to a browser. */
import type { BuildOutput, BunPlugin } from "bun";
import { fileURLToPath } from "node:url";
import { kernelsFile } from "../support/kernels_file.ts";

/** Programs for browsers, each as one text, and what they would want of Bun or Node, with the file that imports it. */
export async function bundle(...entries: readonly URL[]): Promise<{ texts: string[]; foreign: string[] }> {
  const foreign: string[] = [];
  const noticing: BunPlugin = {
    name: "foreign imports",
    setup(build) {
      build.onResolve({ filter: /^(node:|bun(:|$))/ }, ({ path, importer }) => {
        foreign.push(`${path} in ${importer}`);
        return { path, external: true };
      });
    },
  };
  const built: BuildOutput = await Bun.build({
    entrypoints: entries.map((entry) => fileURLToPath(entry)),
    target: "browser",
    plugins: [noticing],
  });
  const texts = await Promise.all(built.outputs.map((output) => output.text()));
  for (const [use] of texts
    .join("\n")
    .matchAll(/\b(Bun\.\w+|process\.\w+|require\(|import\.meta\.(dir|path|main|env)\b)/g)) {
    foreign.push(`${use} in the bundle`);
  }
  return { texts, foreign };
}

export interface Site extends Disposable {
  readonly url: string;
}

/** Serves a page that runs a script, and `kernels.wasm` beside it. */
export function serve(script: string): Site {
  const kernels = kernelsFile();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const typed = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
        new Response(body, { headers: { "content-type": type } });
      switch (new URL(request.url).pathname) {
        case "/":
          return typed(
            '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>',
            "text/html",
          );
        case "/page.js":
          return typed(script, "text/javascript");
        case "/kernels.wasm":
          return typed(kernels, "application/wasm");
        default:
          return new Response("", { status: 404 });
      }
    },
  });
  return { url: server.url.href, [Symbol.dispose]: () => void server.stop(true) };
}
