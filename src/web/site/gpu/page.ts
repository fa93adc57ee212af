/** The page that checks and measures the visitor's device, and makes a report of it. */
import type { Row } from "../../../../bench/results.ts";
import { digits, milliseconds } from "../../../../bench/units.ts";
import { count } from "../../../words.ts";
import { create, element } from "../../elements.ts";
import { copyOnClick, show, showProgress, showTiles, stayAwake, type Tile } from "../dom.ts";
import { isDeviceChoice } from "../worker_port.ts";
import { systemHere } from "./facts.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import {
  cellsOf,
  computeFeatures,
  FORMAT,
  HEAD,
  kernelWords,
  nameOf,
  reportJson,
  reportMarkdown,
  type Facts,
  type Report,
} from "./report.ts";

/** The share of the progress bar that the check of the kernels has. */
const CHECK_SHARE = 0.4;

const wish = new URLSearchParams(location.search);

type Draft = { -readonly [K in keyof Report]: Report[K] };

let worker: Worker | undefined;
let draft: Draft | undefined;

function begin(): void {
  const device = element("device", HTMLSelectElement).value;
  if (!isDeviceChoice(device)) return;
  worker?.terminate();
  worker = new Worker(new URL("gpu_worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
  worker.onerror = ({ message }) =>
    receive({ type: "failed", words: message || "the worker stopped", during: "starting", isLost: false });
  draft = undefined;
  for (const id of ["facts", "kernels", "measurements", "report"]) element(id).hidden = true;
  element("rows").replaceChildren();
  showTiles([]);
  showProgress(0);
  setRunning(true);
  say("Opening the device");
  void stayAwake();
  const seconds = Number(wish.get("seconds"));
  worker.postMessage({
    ...{ device, kernels: wish.get("kernels") ?? "" },
    ...(seconds > 0 && { seconds }),
  } satisfies ToWorker);
}

function stop(): void {
  worker?.terminate();
  finish("stopped by the visitor");
  say("Stopped. The report has what was done.");
}

function setRunning(isRunning: boolean): void {
  element("start", HTMLButtonElement).hidden = isRunning;
  element("stop", HTMLButtonElement).hidden = !isRunning;
  element("device", HTMLSelectElement).disabled = isRunning;
  document.body.dataset.phase = isRunning ? "running" : draft ? "over" : "idle";
}

/** Only for what changes rarely: it is read aloud. */
function say(words: string): void {
  show("status", words);
}

function receive(message: FromWorker): void {
  switch (message.type) {
    case "facts": {
      const { type: _, ...facts } = message;
      draft = {
        ...{ format: FORMAT, version: document.body.dataset.version!, date: new Date().toISOString() },
        ...{ browser: navigator.userAgent, system: systemHere(), threads: navigator.hardwareConcurrency },
        ...{ facts, kernels: [], cases: 0, checkSeconds: 0, rows: [], skipped: [] },
      };
      showFacts(facts);
      say("Checking the kernels");
      break;
    }
    case "checking":
      showProgress((CHECK_SHARE * message.done) / message.total);
      show("phase", `${message.kernel}: size ${count(message.done + 1)} of ${count(message.total)}`);
      return;
    case "checked":
      Object.assign(draft!, { kernels: message.kernels, cases: message.cases, checkSeconds: message.seconds });
      showKernels(draft!);
      say(`${kernelWords(draft!)}. Measuring`);
      break;
    case "roof":
      draft!.roof = message.roof;
      break;
    case "measuring":
      showProgress(CHECK_SHARE + (1 - CHECK_SHARE) * message.share);
      show("phase", message.what);
      return;
    case "row":
      draft!.rows = [...draft!.rows, message.row];
      showRow(message.row);
      break;
    case "skipped":
      draft!.skipped = [...draft!.skipped, message.skipped];
      break;
    case "end":
      finish();
      say("Done. The report below is ready to be copied.");
      break;
    case "failed":
      finish(`${message.during}: ${message.words}`);
      say(
        message.isLost
          ? "The device was lost: the report has what was done until then. Start again to try once more."
          : `It failed while ${message.during}: ${message.words}`,
      );
      break;
  }
  if (draft) showTiles(tilesOf(draft));
}

function finish(failure?: string): void {
  worker?.terminate();
  if (draft && failure !== undefined) draft.failure = failure;
  showProgress(1);
  show("phase", "");
  setRunning(false);
  if (!draft) return;
  element("report").hidden = false;
  element("text", HTMLTextAreaElement).value = reportMarkdown(draft);
}

function tilesOf({ kernels, rows, roof }: Report): Tile[] {
  const wrong = kernels.filter((kernel) => kernel.wrong !== undefined).length;
  const products = rows.filter(({ work }) => work.unit === "flop");
  const best = products.toSorted((a, b) => b.work.amount / b.ms.best - a.work.amount / a.ms.best)[0];
  const step = rows.findLast(({ name }) => / training\b/.test(name));
  const rate = (row: Row) => cellsOf(row)[3]!;
  return [
    {
      ...{ name: "Kernels", value: kernels.length === 0 ? "–" : wrong === 0 ? "all correct" : `${wrong} wrong` },
      note: kernels.length === 0 ? "against loops in float64" : `of ${kernels.length} with their variants`,
    },
    {
      ...{ name: "Best product", value: best ? rate(best) : "–" },
      note: best ? `${best.name}, ${best.contestant}` : "by all variants",
    },
    {
      ...{ name: "Peak", value: roof ? `${digits(roof.flopsPerSecond / 1e9)} GFLOP/s` : "–" },
      note: roof ? `and ${digits(roof.bytesPerSecond / 1e9)} GB/s copied` : "in registers",
    },
    {
      ...{ name: "Training", value: step ? rate(step) : "–" },
      note: step ? `${step.name}, ${milliseconds(step.ms.best)} a step` : "a whole step",
    },
  ];
}

function showFacts(facts: Facts): void {
  element("facts").hidden = false;
  show("device-name", nameOf(facts));
  const rows = [
    ["runs by", facts.kind === "webgpu" ? "WebGPU" : "WebAssembly"],
    ["device", facts.description],
    ...Object.entries(facts.adapter ?? {}).filter(([, value]) => value !== ""),
    ...(computeFeatures(facts).length > 0 ? [["features", computeFeatures(facts).join(", ")]] : []),
  ];
  element("facts-rows").replaceChildren(
    ...rows.map(([name, value]) => {
      const [row, head] = [create("tr"), create("th", "", name)];
      head.scope = "row";
      row.append(head, create("td", "", value));
      return row;
    }),
  );
  show(
    "no-gpu",
    facts.noGpu === undefined
      ? ""
      : `This browser gives the page no GPU, so WebAssembly’s kernels are checked instead (${facts.noGpu}).`,
  );
}

function showKernels(report: Report): void {
  element("kernels").hidden = false;
  show("kernels-words", kernelWords(report));
  element("kernel-list").replaceChildren(
    ...report.kernels.map(({ name, wrong }) => {
      const entry = create("li", wrong === undefined ? "right" : "wrong", `${wrong === undefined ? "✓" : "✗"} ${name}`);
      if (wrong !== undefined) entry.append(create("span", "note", wrong));
      return entry;
    }),
  );
}

function showRow(row: Row): void {
  const body = element("rows");
  if (body.childElementCount === 0) element("heads").replaceChildren(...HEAD.map((name) => create("th", "", name)));
  element("measurements").hidden = false;
  const [line, cells] = [create("tr"), cellsOf(row)];
  const [first, ...rest] = cells;
  const isSame = body.lastElementChild instanceof HTMLElement && body.lastElementChild.dataset.name === first;
  line.dataset.name = first;
  const head = create("th", isSame ? "same" : "", first);
  head.scope = "row";
  line.append(head, ...rest.map((words) => create("td", "", words)));
  body.append(line);
}

if (isDeviceChoice(wish.get("device"))) element("device", HTMLSelectElement).value = wish.get("device")!;
element("start").addEventListener("click", begin);
element("stop").addEventListener("click", stop);
copyOnClick("copy-markdown", () => (draft ? reportMarkdown(draft) : ""));
copyOnClick("copy-json", () => (draft ? reportJson(draft) : ""));
setRunning(false);
