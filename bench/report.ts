/** Results as text for people. */
import { table } from "../src/cli/terminal.ts";
import type { Device, Row, Skipped } from "./results.ts";
import { digits, milliseconds, percent, perSecond } from "./units.ts";

/** A measurement as its suite shows it: the time itself for single photos, otherwise the rate. */
export function shown({ suite, work }: Pick<Row, "suite" | "work">, ms: number): string {
  return suite === "predict" ? milliseconds(ms) : perSecond(work, ms);
}

/** A device and its roof, in one or two lines. */
export function deviceText({ device, description, roof }: Device): string {
  const first = `${device}: ${description}`;
  if (!roof) return first;
  const { flopsPerSecond, bytesPerSecond, how } = roof;
  return `${first}\n  roof: ${digits(flopsPerSecond / 1e9)} GFLOP/s (${how}), ${digits(bytesPerSecond / 1e9)} GB/s moved`;
}

/** The rows of a suite as a table. If it exceeds `columns` characters, a narrower one, grouped by piece of work. */
export function rowsText(rows: readonly Row[], columns = Infinity): string {
  const hasShare = rows.some(({ share }) => share !== undefined);
  const head = ["", "", "", "best", "median", "of", "", "roof", ...(hasShare ? ["share"] : [])];
  const cells = rows.map((row) => [
    row.name,
    row.contestant,
    row.device,
    milliseconds(row.ms.best),
    milliseconds(row.ms.median),
    String(row.ms.count),
    perSecond(row.work, row.ms.best),
    row.ofRoof === undefined ? "" : percent(row.ofRoof),
    ...(hasShare ? [row.share === undefined ? "" : percent(row.share)] : []),
  ]);
  const isRepeated = (i: number) => rows[i - 1]?.name === rows[i]!.name;
  const wide = table(
    [head, ...cells.map(([name, ...rest], i) => [isRepeated(i) ? "" : name!, ...rest])],
    [3, 4, 5, 6, 7, 8],
  );
  if (Math.max(...wide.split("\n").map((line) => line.length)) <= columns) return wide;
  // The narrow table omits count and median.
  const narrow = table(
    cells.map(([, who, device, best, , , speed, ...rest]) => [who!, device!, best!, speed!, ...rest]),
    [2, 3, 4, 5],
  );
  return narrow
    .split("\n")
    .map((line, i) => (isRepeated(i) ? `  ${line}` : `${rows[i]!.name}\n  ${line}`))
    .join("\n");
}

/** One line per layer with its best forward and backward time on each device, and its share of the step. */
export function layersText(rows: readonly Row[]): string {
  return [...Map.groupBy(rows, (row) => partOf(row).images)]
    .map(([images, own]) => {
      const devices = [...new Set(own.map(({ device }) => device))];
      const parts = own.map((row) => ({ ...row, ...partOf(row) }));
      const of = (device: string, part: string, pass?: string) =>
        parts.find((row) => row.device === device && row.part === part && row.pass === pass);
      const time = (row: Row | undefined) => (row ? milliseconds(row.ms.best) : "");
      const head = [`batch ${images}`, ...devices.flatMap((device) => [device, "forward", "backward", "share"])];
      const lines = [...new Set(parts.map(({ part }) => part))].map((part) => [
        part,
        ...devices.flatMap((device) => {
          const [only, forward, backward] = [undefined, "forward", "backward"].map((pass) => of(device, part, pass));
          const shares = [only, forward, backward].map((row) => row?.share ?? 0);
          return [time(only), time(forward), time(backward), percent(shares.reduce((sum, share) => sum + share))];
        }),
      ]);
      return table([head, ...lines], Array.from({ length: head.length }, (_, i) => i).slice(1));
    })
    .join("\n\n");
}

/** What a row of suites/layers.ts is called after: the pass where there are two, and the batch. */
export function partOf({ name }: Pick<Row, "name">): { network: string; part: string; pass?: string; images: string } {
  const { groups } = /^(?<network>\S+) (?<part>.+?)(?: (?<pass>forward|backward))?, batch (?<images>\d+)$/.exec(name)!;
  return groups as ReturnType<typeof partOf>;
}

export function skippedText(skipped: readonly Skipped[]): string {
  return skipped
    .map(({ name, contestant, device, reason }) => `not timed: ${name}, ${contestant} on ${device}: ${reason}`)
    .join("\n");
}
