/** The cards of a profile's page about kernels: what limits each, and their forms side by side. */
import { Html, html } from "../../src/pictures/page.ts";
import { milliseconds, percent, perSecond } from "../units.ts";
import { rate, type Row } from "../results.ts";
import type { JudgedKernel, Profile } from "./document.ts";
import { causeOf, CAUSES, giga, type Cause, type ModelKernels } from "./summary.ts";

const NAMES: Readonly<Record<Cause, string>> = {
  arithmetic: "arithmetic",
  memory: "memory",
  launch: "launch",
  host: "host",
  other: "none of these",
};

/** Kernels shown at once; the others on request. */
const SHOWN = 25;

export function kernelsCard({ model, images, kernels, ms, stepMs, shares }: ModelKernels): Html {
  const slowest = kernels.toSorted((a, b) => b.ms - a.ms);
  const causes = CAUSES.filter((cause) => shares.get(cause)! >= 0.005);
  const whole =
    stepMs === undefined || stepMs < ms
      ? ""
      : `A whole step takes ${milliseconds(stepMs)} by the wall clock; the rest is between kernels, or waiting.`;
  return html`<section class="card">
    <h2>What limits ${model}</h2>
    <p class="note">
      A training step of ${images} images runs ${kernels.length} kernels in ${milliseconds(ms)}. ${whole} A kernel's
      bound is the longest of: its arithmetic, its memory traffic with every byte moved once, the time of a kernel that
      does nothing, and the host's time to submit one. “None of these” takes more than four times as long as its bound:
      it waits for something else, such as latency, too few threads, or data that is moved repeatedly.
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
        <th scope="col" class="limit">limit</th>
        <th scope="col">bound</th>
        <th scope="col">reached</th>
        <th scope="col">GFLOP/s</th>
        <th scope="col">GB/s</th>
      </tr>
      ${kernels.map((kernel) => {
        const { part, kernel: name, flop, bytes, judgement } = kernel;
        const rateOf = (amount: number) => (kernel.ms > 0 && amount > 0 ? giga((1000 * amount) / kernel.ms) : "");
        const cause = causeOf(kernel);
        return html`<tr>
          <th scope="row">${part}<span>${breakable(name)}</span></th>
          <td>${milliseconds(kernel.ms)}</td>
          <td>${percent(kernel.ms / ms)}</td>
          <td class="limit"><i class="${cause}"></i>${NAMES[cause]}</td>
          <td>${judgement ? milliseconds(judgement.ms) : ""}</td>
          <td>${judgement ? percent(judgement.reached) : ""}</td>
          <td>${rateOf(flop)}</td>
          <td>${rateOf(bytes)}</td>
        </tr>`;
      })}
    </table>
  </div>`;
}

/** A name with underscores, which may be broken after each. */
function breakable(name: string): Html {
  return new Html(
    name
      .split("_")
      .map((word) => html`${word}`.markup)
      .join("_<wbr>"),
  );
}

/** A suite's rows, by piece of work, each with a bar in proportion to its speed. */
export function rowsCard({ rows }: Profile, suite: string, title: string, note: string): Html {
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
              <th scope="row">${breakable(shortened(row))}<i class="speed" style="--part:${share}"></i></th>
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

export const KERNELS_STYLE = `
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
.kernels th[scope=row]{color:var(--ink);min-width:150px}
.kernels th span{display:block;color:var(--muted);font-size:12px;overflow-wrap:anywhere}
.numbers .limit{text-align:left}
.pieces{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:20px 28px;margin-top:12px}
.pieces table{align-self:start}
caption{text-align:left;font-weight:600;padding-bottom:4px}
.pieces td{text-align:right;white-space:nowrap}
.pieces td:last-child{padding-right:0;color:var(--muted)}
.pieces th{width:100%;color:var(--ink);white-space:normal;overflow-wrap:anywhere}
.speed{display:block;height:5px;width:var(--part);min-width:1px;border-radius:3px;margin-top:2px}
`;
