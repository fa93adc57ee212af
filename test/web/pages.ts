/** Bundles programs for pages, and serves them to a browser. */
import type { BuildOutput, BunPlugin } from "bun";
import { fileURLToPath } from "node:url";
import { kernelsFile } from "../support/kernels_file.ts";

/** A program for browsers, in one file, and what it would want of Bun or Node, each with the file that imports it. */
export async function bundle(entry: URL): Promise<{ text: string; foreign: string[] }> {
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
    entrypoints: [fileURLToPath(entry)],
    target: "browser",
    plugins: [noticing],
  });
  const text = await built.outputs[0]!.text();
  for (const [use] of text.matchAll(/\b(Bun\.\w+|process\.\w+|require\(|import\.meta\.(dir|path|main|env)\b)/g)) {
    foreign.push(`${use} in the bundle`);
  }
  return { text, foreign };
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
      const typed = (body: ConstructorParameters<typeof Response>[0], type: string) =>
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
