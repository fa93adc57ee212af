/** What the workers of the site's pages have in common: the device they open, and turns for their messages. */
import { openInPage, type PageDevice } from "../device.ts";

/** As the pages' menus name them. */
export type DeviceChoice = "auto" | "webgpu" | "webassembly";

export const isDeviceChoice = (value: unknown): value is DeviceChoice =>
  value === "auto" || value === "webgpu" || value === "webassembly";

/** Opens a device, with the kernels that lie beside the page's scripts. @throws DeviceError as `openInPage` */
export async function openDevice(device: DeviceChoice): Promise<PageDevice> {
  const answer = await fetch(new URL("kernels.wasm", import.meta.url));
  return openInPage({ kernels: new Uint8Array(await answer.arrayBuffer()), device });
}

/** Resolves after the messages that have arrived were handled; unlike a timer, at once. */
export function breath(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** What went wrong, in a sentence. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
