/**
 * Whether this process may download. The commands do, and say so; a program that uses the library has to call
 * `allowDownloads`, since a function that reaches for the network by itself surprises.
 */
import { DeviceError } from "../errors.ts";
import { command, installation } from "../program.ts";

/** Called with a line about each download. */
export type OnProgress = (line: string) => void;

let announce: OnProgress | undefined;

/**
 * Permits downloads for the rest of the process: native libraries, pretrained weights and CIFAR, each when it is first
 * needed, checked by its hash and kept in the cache folder. Without it the library uses what is there, such as what
 * `alexnet setup` has fetched. ALEXNET_OFFLINE in the environment forbids them all the same.
 * @param onProgress called with a line about each
 */
export function allowDownloads(onProgress: OnProgress = () => {}): void {
  announce = onProgress;
}

/** Whether `allowDownloads` was called, and nothing else forbids them. */
export const mayDownload = (): boolean => refusal() === undefined;

/** Reports a download to who allowed it. */
export function announceDownload(line: string): void {
  announce?.(line);
}

/** Why nothing may be downloaded; undefined if it may. */
export function refusal(): string | undefined {
  if (process.env.ALEXNET_OFFLINE) return "ALEXNET_OFFLINE is set";
  return announce ? undefined : `the library downloads nothing unasked: ${remedy()}, or call allowDownloads()`;
}

/** What fetches the libraries and the weights. */
export function remedy(): string {
  return `run \`${installation === "checkout" ? "bun src/setup.ts" : command("setup")}\``;
}

/** @param what is to be downloaded @throws DeviceError when it may not be */
export function requirePermission(what: string): void {
  const refused = refusal();
  if (refused !== undefined) throw new DeviceError(`${what}: ${refused}`);
}
