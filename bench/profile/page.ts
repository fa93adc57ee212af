/** A profile as one page: self-contained, without scripts, light or dark like the system. */
import { Html, html, STYLE } from "../../src/pictures/page.ts";
import { milliseconds, percent, perSecond } from "../report.ts";
import { rate, type Row, type Skipped } from "../results.ts";
import { hostMsOf, type JudgedKernel, type Profile } from "./document.ts";
import {
  causeOf,
  CAUSES,
  giga,
  imagesPerSecond,
  kernelsByModel,
  stepLines,
  tera,
  timesAsFast,
  type Cause,
  type ModelKernels,
} from "./summary.ts";

export function profilePage(profile: Profile): string {
  const { devices, machine, profile: more } = profile;
  const [device] = devices;
  const title = device!.adapter ?? device!.device;
  const commit = machine.commit ? `, commit ${machine.commit}${machine.dirty ? " with changes" : ""}` : "";
  const body = html`<main>
    <h1>${title}</h1>
    <p class="note">
      ${device!.description}. ${machine.processor}, ${machine.os}, Bun ${machine.bun}, ${machine.date}${commit}.
    </p>
    ${tiles(profile)} ${stepsCard(profile)} ${kernelsByModel(profile).map(kernelsCard)}
    ${rowsCard(profile, "matmul", "Matrix products", "Every rung of the ladder and every form of the kernels; the device's choice is linear.")}
    ${rowsCard(profile, "conv", "Convolutions", "Every form of the kernels that a pass runs; direct: without Winograd's filtering. The device's choice is conv2d.")}
    <div class="two">${hostCard(profile)} ${loaderCard(profile)}</div>
    ${partsCard(profile)} ${skippedCard(profile.skipped, more.wrong)}
  </main>`;
  const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(policy)}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}: profile</title>
        <style>
          ${new Html(STYLE + PROFILE_STYLE)}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.markup;
}

function tiles(profile: Profile): Html {
  const { devices, profile: more } = profile;
  const { roof } = devices[0]!;
  const line = stepLines(profile)[0];
  const all = [
    roof && { name: "Arithmetic", value: `${tera(roof.flopsPerSecond)} TFLOP/s`, note: `reached by ${roof.how}` },
    roof && { name: "Memory", value: `${giga(roof.bytesPerSecond)} GB/s`, note: "read and written, reached by a copy" },
    more.launchMs !== undefined && {
      name: "A kernel",
      value: milliseconds(more.launchMs),
      note: "at least, by the device's clock",
    },
    more.host && {
      name: "The host",
      value: milliseconds(hostMsOf(more.host)),
      note: `for each of ${more.host.kernels} kernels`,
    },
    line && { name: line.name, value: `${imagesPerSecond(line.ours)} images/s`, note: besides(line.ours, line.torch) },
  ];
  const shown = all.filter((tile) => typeof tile === "object");
  return html`<div class="tiles">
    ${shown.map(({ name, value, note }) => html`<div class="tile"><span>${name}</span><b>${value}</b><span>${note}</span></div>`)}
  </div>`;
}

function besides(ours: Row, torch: Row | undefined): string {
  return torch ? `${timesAsFast(ours, torch)} PyTorch's` : "";
}

function stepsCard(profile: Profile): Html {
  const lines = stepLines(profile);
  if (lines.length === 0) return html``;
  const versions = new Set(lines.flatMap(({ torch, tf32 }) => [torch, tf32].flatMap((row) => row?.contestant ?? [])));
  const cell = (ours: Row, theirs: Row | undefined) =>
    theirs
      ? html`<td>${imagesPerSecond(theirs)}</td>
          <td>${timesAsFast(ours, theirs)}</td>`
      : html`<td></td>
          <td></td>`;
  return html`<section class="card">
    <h2>Steps</h2>
    <p class="note">
      Images a second, best time. Ours passes pixels and reads losses back, which PyTorch need not do.
      ${[...versions].join("; ") || "PyTorch was not measured."}
    </p>
    <div class="scroll">
      <table class="numbers">
        <tr>
          <th scope="col"></th>
          <th scope="col">ours</th>
          <th scope="col">ms</th>
          <th scope="col">PyTorch</th>
          <th scope="col">ours ÷</th>
          <th scope="col">with TF32</th>
          <th scope="col">ours ÷</th>
        </tr>
        ${lines.map(
          ({ name, ours, torch, tf32 }) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td>${imagesPerSecond(ours)}</td>
              <td>${ours.ms.best.toPrecision(4)}</td>
              ${cell(ours, torch)}${cell(ours, tf32)}
            </tr>`,
        )}
      </table>
    </div>
  </section>`;
}

const NAMES: Readonly<Record<Cause, string>> = {
  arithmetic: "arithmetic",
  memory: "memory",
  launch: "launch",
  host: "host",
  other: "none of these",
};

/** Kernels shown at once; the others on request. */
const SHOWN = 25;

function kernelsCard({ model, images, kernels, ms, stepMs, shares }: ModelKernels): Html {
  const slowest = kernels.toSorted((a, b) => b.ms - a.ms);
  const causes = CAUSES.filter((cause) => shares.get(cause)! >= 0.005);
  const rest =
    stepMs === undefined || stepMs < ms
      ? ""
      : ` A whole step takes ${milliseconds(stepMs)} by the wall clock; the rest is between kernels, or waiting.`;
  return html`<section class="card">
    <h2>What limits ${model}</h2>
    <p class="note">
      A training step of ${images} images runs ${kernels.length} kernels in ${milliseconds(ms)}.${rest} A kernel's bound
      is the longest of: its arithmetic, its memory traffic with every byte moved once, the time of a kernel that does
      nothing, and the host's time to submit one. “None of these” takes more than two and a half times as long as its
      bound: it waits for something else, such as latency, too few threads, or data that is moved repeatedly.
    </p>
    <div
      class="causes"
      role="img"
      aria-label="${causes.map((cause) => `${NAMES[cause]} ${percent(shares.get(cause)!)}`).join(", ")}"
    >
      ${causes.map((cause) => html`<i class="${cause}" style="--part:${(100 * shares.get(cause)!).toFixed(1)}%"></i>`)}
    </div>
    <p class="legend">
      ${causes.map((cause) => html`<span><i class="${cause}"></i>${NAMES[cause]} ${percent(shares.get(cause)!)}</span>`)}
    </p>
    ${kernelTable(slowest.slice(0, SHOWN), ms)}
    ${
      slowest.length > SHOWN
        ? html`<details>
            <summary>the other ${slowest.length - SHOWN}</summary>
            ${kernelTable(slowest.slice(SHOWN), ms)}
          </details>`
        : html``
    }
  </section>`;
}

function kernelTable(kernels: readonly JudgedKernel[], ms: number): Html {
  return html`<div class="scroll">
    <table class="numbers kernels">
      <tr>
        <th scope="col">kernel</th>
        <th scope="col">time</th>
        <th scope="col">share</th>
        <th scope="col">GFLOP/s</th>
        <th scope="col">GB/s</th>
        <th scope="col">bound</th>
        <th scope="col">of bound</th>
        <th scope="col">limit</th>
      </tr>
      ${kernels.map((kernel) => {
        const { part, kernel: name, flop, bytes, judgement } = kernel;
        const perMs = (amount: number) => (kernel.ms > 0 && amount > 0 ? Math.round(amount / kernel.ms / 1e6) : 0);
        const cause = causeOf(kernel);
        return html`<tr>
          <th scope="row">${part}<span>${name}</span></th>
          <td>${milliseconds(kernel.ms)}</td>
          <td>${percent(kernel.ms / ms)}</td>
          <td>${perMs(flop).toLocaleString("en-US")}</td>
          <td>${perMs(bytes).toLocaleString("en-US")}</td>
          <td>${judgement ? milliseconds(judgement.ms) : ""}</td>
          <td>${judgement ? percent(Math.min(9.99, judgement.reached)) : ""}</td>
          <td class="limit"><i class="${cause}"></i>${NAMES[cause]}</td>
        </tr>`;
      })}
    </table>
  </div>`;
}

/** A suite's rows, by piece of work, each with a bar in proportion to its speed. */
function rowsCard({ rows }: Profile, suite: string, title: string, note: string): Html {
  const own = rows.filter((row) => row.suite === suite);
  if (own.length === 0) return html``;
  return html`<section class="card">
    <h2>${title}</h2>
    <p class="note">${note}</p>
    <div class="pieces">
      ${[...Map.groupBy(own, ({ name }) => name)].map(([name, group]) => {
        const fastest = Math.max(...group.map((row) => rate(row.work, row.ms.best)));
        return html`<table>
          <caption>
            ${name}
          </caption>
          ${group.map((row) => {
            const speed = rate(row.work, row.ms.best);
            const share = `${((100 * speed) / fastest).toFixed(1)}%`;
            return html`<tr>
              <th scope="row">${shortened(row)}<i class="speed" style="--part:${share}"></i></th>
              <td>
                ${speed === fastest ? html`<b>${perSecond(row.work, row.ms.best)}</b>` : perSecond(row.work, row.ms.best)}
              </td>
              <td>${row.ofRoof === undefined ? "" : percent(row.ofRoof)}</td>
            </tr>`;
          })}
        </table>`;
      })}
    </div>
  </section>`;
}

/** "PyTorch 2.15.0, TF32, NVIDIA H200, CUDA 13.2, Python 3.11.7" without what comes after the precision. */
function shortened({ contestant }: Row): string {
  return /^PyTorch [^,]+(, TF32)?/.exec(contestant)?.[0] ?? contestant;
}

function hostCard({ profile: { host } }: Profile): Html {
  if (!host) return html``;
  const { model, batch, kernels, submissions, compiled, ms } = host;
  const rows: [string, string][] = [
    ["kernels", `${kernels} in ${submissions} submissions`],
    ["compiled", `${compiled.count} in ${milliseconds(compiled.modules + compiled.pipelines)}, once`],
    ["passing pixels, labels and views", milliseconds(ms.upload.median)],
    ["until the first kernels are submitted", milliseconds(ms.first.median)],
    ["the rest of the kernels", milliseconds(ms.rest.median)],
    ["reading the losses", milliseconds(ms.end.median)],
  ];
  return html`<section class="card">
    <h2>The host</h2>
    <p class="note">
      Its time in a training step of ${model}, batch ${batch}, with kernels that compute nothing; medians.
    </p>
    <table>
      ${rows.map(
        ([name, value]) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${value}</td>
          </tr>`,
      )}
    </table>
  </section>`;
}

function loaderCard(profile: Profile): Html {
  const own = profile.rows.filter(({ suite }) => suite === "loader");
  if (own.length === 0) return html``;
  return html`<section class="card">
    <h2>Loading images</h2>
    <p class="note">Images a second. “decode and augment” must be above the images a second of a step.</p>
    <table>
      ${own.map(
        (row) =>
          html`<tr>
            <th scope="row" class="wrap">${row.name}, ${row.contestant}</th>
            <td>${imagesPerSecond(row)}</td>
          </tr>`,
      )}
    </table>
  </section>`;
}

const STATES = { done: "done", cut: "cut short", skipped: "skipped", failed: "failed" } as const;

function partsCard({ profile: { parts, minutes, findings } }: Profile): Html {
  const problems = findings.filter((finding) => (finding as { type?: string }).type === "problem");
  return html`<section class="card">
    <h2>Parts</h2>
    <p class="note">
      In this order, within ${minutes} minutes.
      ${problems.length > 0 ? `The doctor found ${problems.length} problems:` : ""}
      ${problems.map((problem) => html`<span class="problem">${String((problem as { what?: unknown }).what)}</span>`)}
    </p>
    <table>
      ${parts.map(
        ({ name, about, state, seconds, reason = "" }) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${STATES[state]}${state === "skipped" ? "" : `, ${seconds.toFixed(0)} s`}</td>
            <td class="note">${reason || about}</td>
          </tr>`,
      )}
    </table>
  </section>`;
}

function skippedCard(skipped: readonly Skipped[], wrong: readonly Skipped[]): Html {
  if (skipped.length === 0) return html``;
  return html`<section class="card">
    <h2>Not timed</h2>
    <details${new Html(wrong.length > 0 ? " open" : "")}>
      <summary>${skipped.length}${wrong.length > 0 ? `, of which ${wrong.length} computed something wrong` : ""}</summary>
      <table>
        ${skipped.map(
          ({ name, contestant, reason }) =>
            html`<tr>
              <th scope="row" class="wrap">${name}, ${contestant}</th>
              <td class="note">${reason}</td>
            </tr>`,
        )}
      </table>
    </details>
  </section>`;
}

const PROFILE_STYLE = `
:root{--launch:#7f52a8;--host:#2c8a57}
@media(prefers-color-scheme:dark){:root{--launch:#bb94de;--host:#6cc494}}
i{display:inline-block;background:var(--accent)}
i.memory{background:var(--second)}
i.launch{background:var(--launch)}
i.host{background:var(--host)}
i.other{background:var(--muted)}
.causes{display:flex;gap:2px;height:18px;margin:14px 0 6px;border-radius:4px;overflow:hidden}
.causes i{flex:0 1 var(--part);min-width:2px}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;margin-bottom:10px}
.legend i,.limit i{width:10px;height:10px;border-radius:2px;margin-right:6px}
.numbers th:first-child{text-align:left}
.kernels th[scope=row]{color:var(--ink);min-width:190px;white-space:normal}
.kernels th span{display:block;color:var(--muted);font-size:12px;overflow-wrap:anywhere}
.numbers td.limit{text-align:left}
.pieces{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:20px 28px;margin-top:12px}
.pieces table{align-self:start}
caption{text-align:left;font-weight:600;padding-bottom:4px}
.pieces td{text-align:right;white-space:nowrap}
.pieces td:last-child{padding-right:0;color:var(--muted)}
.pieces th{width:100%;color:var(--ink);white-space:normal;overflow-wrap:anywhere}
.speed{display:block;height:5px;width:var(--part);min-width:1px;border-radius:3px;margin-top:2px}
.wrap{white-space:normal;overflow-wrap:anywhere}
.problem{display:block;color:var(--ink)}
@media(max-width:600px){th,td{font-size:13px;padding-right:10px}}
`;
