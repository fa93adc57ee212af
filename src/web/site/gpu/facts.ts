/** The device as the browser describes it. */
import type { Backend } from "../../../engine/backend.ts";
import type { Facts } from "./report.ts";

/** The part of `GPUAdapter` that is read; a browser may lack any of it. */
interface Adapter {
  readonly info?: object;
  readonly limits?: object;
  readonly features?: Iterable<string>;
}

/** What is told of the adapter that pages get. */
const INFO = ["vendor", "architecture", "device", "description"] as const;

/** @param noGpu why the page has no GPU, if it asked for one */
export async function factsOf({ kind, description }: Backend, noGpu?: string): Promise<Facts> {
  if (kind === "cpu") return { kind: "webassembly", description, ...(noGpu !== undefined && { noGpu }) };
  const adapter = await adapterHere();
  return {
    ...{ kind: "webgpu", description },
    // These are getters of the prototype.
    adapter: Object.fromEntries(INFO.map((name) => [name, String(Reflect.get(adapter?.info ?? {}, name) ?? "")])),
    limits: numbersOf(adapter?.limits ?? {}),
    features: [...(adapter?.features ?? [])].sort(),
  };
}

async function adapterHere(): Promise<Adapter | undefined> {
  const gpu: unknown = Reflect.get(navigator, "gpu");
  if (typeof gpu !== "object" || gpu === null) return undefined;
  const { requestAdapter } = gpu as { requestAdapter(options: object): Promise<Adapter | null> };
  return (await requestAdapter.call(gpu, { powerPreference: "high-performance" })) ?? undefined;
}

function numbersOf(limits: object): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = Reflect.get(limits, name);
    if (typeof value === "number") found[name] = value;
  }
  return found;
}

/** The operating system, as far as the browser says it. */
export function systemHere(): string {
  const data: unknown = Reflect.get(navigator, "userAgentData");
  const platform = typeof data === "object" && data !== null ? Reflect.get(data, "platform") : undefined;
  return String(platform || Reflect.get(navigator, "platform") || "unknown");
}

/** Whether this is a phone or a tablet, which ends a page that takes as much memory as a large network. */
export function isMobile(): boolean {
  const data: unknown = Reflect.get(navigator, "userAgentData");
  if (typeof data === "object" && data !== null && Reflect.get(data, "mobile") === true) return true;
  return /\b(Mobi|Android|iPhone|iPad)/.test(navigator.userAgent) || Number(Reflect.get(navigator, "deviceMemory")) < 4;
}
