/** A profile as one page: self-contained, without scripts, light or dark like the system. */
import { Html, html, STYLE } from "../../src/pictures/page.ts";
import { plural } from "../../src/words.ts";
import { milliseconds } from "../units.ts";
import type { Row, Skipped } from "../results.ts";
import { hostMsOf, type Profile } from "./document.ts";
import { kernelsCard, KERNELS_STYLE, rowsCard } from "./page_kernels.ts";
import {
  giga,
  imagesPerSecond,
  problemsOf,
  kernelsByModel,
  stepLines,
  tera,
  timesAsFast,
  type StepLine,
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
      ${more.note ?? ""}
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
          ${new Html(STYLE + KERNELS_STYLE + PROFILE_STYLE)}
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
    line && { name: line.name, value: imagesPerSecond(line.ours), note: `images a second${besides(line)}` },
  ];
  const shown = all.filter((tile) => typeof tile === "object");
  return html`<div class="tiles">
    ${shown.map(({ name, value, note }) => html`<div class="tile"><span>${name}</span><b>${value}</b><span>${note}</span></div>`)}
  </div>`;
}

function besides({ ours, torch }: StepLine): string {
  return torch ? `, ${timesAsFast(ours, torch)} PyTorch` : "";
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

function partsCard(profile: Profile): Html {
  const { parts, minutes } = profile.profile;
  const problems = problemsOf(profile);
  return html`<section class="card">
    <h2>Parts</h2>
    <p class="note">
      In this order, within ${plural(minutes, "minute")}.
      ${problems.length > 0 ? `The doctor found ${plural(problems.length, "problem")}:` : ""}
      ${problems.map((what) => html`<span class="problem">${what}</span>`)}
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
.numbers th:first-child{text-align:left}
.numbers th[scope=row]{white-space:normal;min-width:120px}
.wrap{white-space:normal;overflow-wrap:anywhere}
.problem{display:block;color:var(--ink)}
@media(max-width:600px){th,td{font-size:13px;padding-right:10px}}
`;
