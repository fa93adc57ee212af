/** Pages of the project's site in headless Chromium, one after the other. */
import { openPage, type Page } from "./chromium.ts";

export interface Visitor extends AsyncDisposable, Pick<Page, "evaluate" | "send" | "screenshot"> {
  /** Opens a page and waits until its script has run. */
  visit(url: URL): Promise<void>;
  /** The text of an element. */
  text(id: string): Promise<string>;
  click(id: string): Promise<void>;
  /** Waits until a JavaScript expression is true in the page. @throws Error with the page's text when it never is */
  until(expression: string, seconds?: number): Promise<void>;
  /** What pages and their policies have complained about on the console. */
  complaints(): readonly string[];
}

const SECONDS = 180;

/** @param source JavaScript that runs before the pages' own */
export async function openVisitor(width = 1280, source = ""): Promise<Visitor> {
  const page = await openPage("about:blank", width);
  const { send, evaluate } = page;
  const byId = (id: string) => `document.getElementById(${JSON.stringify(id)})`;
  await send("Page.addScriptToEvaluateOnNewDocument", { source });
  const until = async (expression: string, seconds = SECONDS) => {
    const end = Date.now() + 1000 * seconds;
    while (!(await evaluate<boolean>(`!!(${expression})`))) {
      if (Date.now() > end) throw new Error(`never: ${expression}: ${await evaluate("document.body.innerText")}`);
      await Bun.sleep(50);
    }
  };
  return {
    ...{ evaluate, send, screenshot: page.screenshot, until },
    async visit({ href }) {
      await send("Page.navigate", { url: href });
      const isThere = `location.href === ${JSON.stringify(href)} && document.readyState === "complete"`;
      await until(`${isThere} && document.body.dataset.phase`);
    },
    text: (id) => evaluate<string>(`${byId(id)}.textContent`),
    click: async (id) => void (await evaluate(`${byId(id)}.click()`)),
    complaints: () => page.console,
    [Symbol.asyncDispose]: () => page[Symbol.asyncDispose](),
  };
}
