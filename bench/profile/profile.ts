/**
 * `bun run bench profile`: all about one device in a few minutes: whether it computes correctly, what it reaches, what
 * limits each kernel, and PyTorch beside it. A JSON file and a page are written anew after each part.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bold, dim, duration, here, print, ProgressLine, say } from "../../src/cli/terminal.ts";
import { chooseAdapter, findAdapters } from "../../src/devices/open.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { openNetwork } from "../../src/net/network_file.ts";
import { given } from "../../src/options.ts";
import { chooseDevices } from "../devices.ts";
import { machine } from "../machine.ts";
import { runProcess } from "../peers/run.ts";
import type { Device, Roof } from "../results.ts";
import { assemble, type Data, type Profile } from "./document.ts";
import { runParts, type Ended, type Outcome, type Part } from "./plan.ts";
import { problemsOf, summaryOf } from "./summary.ts";
import type { Job, WorkName } from "./work.ts";
import { filesFor, writeProfile } from "./write.ts";

export interface ProfileOptions {
  /** As for the other suites; the first device of several. */
  readonly device: string;
  readonly minutes: number;
  /** Where the two files are written. */
  readonly folder: string;
  /** What the files say of this run. */
  readonly note?: string;
  /** Only this network. */
  readonly model?: string;
  /** Images per batch. */
  readonly images?: number;
}

const PROGRAM = fileURLToPath(new URL("./part.ts", import.meta.url));
const NETWORKS = ["alexnet", "alexnet-owt", "cifar10-airbench", "resnet18"];
/** Images of a batch: usual, on GPUs that are emulated, and there for images of 32 × 32. */
const [IMAGES, FEW, FEW_SMALL] = [128, 2, 16];

/**
 * @returns whether nothing failed, all that was computed was right, and the doctor found no problem
 * @throws UsageError for an unknown device or model
 */
export async function profile(options: ProfileOptions): Promise<boolean> {
  const { minutes, folder, note } = options;
  const [name = ""] = await chooseDevices({ names: options.device });
  const { device, isSmall } = await about(name);
  const files = filesFor(folder, device.adapter ?? device.device.replace(":", " "));
  const machineNow = machine();
  const start = performance.now();
  const line = new ProgressLine();
  let current: Profile | undefined;
  using scratch = temporaryFolder("alexnet-profile-");
  const roofNow = () => current?.devices[0]?.roof;
  const ended = await runParts<Data>(
    await partsOf(options, { device: name, isSmall, scratch: scratch.path, roofNow }),
    {
      limitMs: 60_000 * minutes,
      begin: ({ about }, limitMs) => line.update(`${about}, ${duration(limitMs / 1000)} at most`),
      async save(all) {
        current = assemble({ machine: machineNow, device, minutes, ...given({ note }) }, all);
        await writeProfile(files, current);
        ProgressLine.clear();
        show(all.at(-1)!);
      },
    },
  );
  print(`\n${summaryOf(current!)}`);
  print(dim(`${duration((performance.now() - start) / 1000)}; ${here(files.page)}, ${here(files.json)}`));
  const problems = problemsOf(current!);
  for (const what of problems) say.error(what);
  const { wrong } = current!.profile;
  for (const { name, contestant, device, reason } of wrong) say.error(`${name}, ${contestant} on ${device}: ${reason}`);
  return problems.length + wrong.length === 0 && ended.every(({ state }) => state !== "failed");
}

/** The device as far as it is known before it is opened, and whether it is emulated. */
async function about(name: string): Promise<{ device: Device; isSmall: boolean }> {
  if (!name.startsWith("gpu:")) return { device: { device: name, description: name }, isSmall: false };
  const { adapters } = await findAdapters();
  const { name: adapter, kind, api, driver } = chooseAdapter(adapters, name.slice("gpu:".length));
  const device = { device: name, description: adapter, adapter, driver: `${api} ${driver}`.trim() };
  return { device, isSmall: kind === "software" };
}

interface Setting {
  readonly device: string;
  readonly isSmall: boolean;
  /** A folder for what the processes write. */
  readonly scratch: string;
  /** The device's roof, once it was measured. */
  readonly roofNow: () => Roof | undefined;
}

/** The most valuable first. PyTorch follows the steps that it is compared with. */
async function partsOf({ model, images }: ProfileOptions, on: Setting): Promise<Part<Data>[]> {
  const { device, isSmall, scratch, roofNow } = on;
  const first = model ?? "alexnet";
  const { crop, name: firstName } = await openNetwork(first);
  const sizes = new Map<string, number>();
  for (const each of model === undefined ? NETWORKS : [model]) {
    const { crop, recipe } = await openNetwork(each);
    const usual = isSmall ? (crop <= 64 ? FEW_SMALL : FEW) : crop <= 64 ? recipe.batch : IMAGES;
    sizes.set(each, images ?? usual);
  }
  const part = (work: WorkName, about: string, leastMs: number, share: number, of = first): Part<Data> => {
    const name = PER_NETWORK.has(work) ? `${work} of ${of}` : work;
    const run = (limitMs: number) => {
      const job = { work, device, model: of, images: sizes.get(of)!, isSmall, ...given({ roof: roofNow() }) };
      return inProcess(job, limitMs, join(scratch, `${name}.json`));
    };
    return { name, about, leastMs, share, run };
  };
  const ofNetworks = [...sizes.keys()].map((each) => [
    part("steps", `steps of ${each}`, 3000, 0.1, each),
    part("torch", `steps of ${each} by PyTorch`, 10_000, 0.15, each),
    part("kernels", `what limits each kernel of ${each}`, 3000, 0.1, each),
  ]);
  return [
    part("doctor", "every kernel against its reference", 5000, 0.2),
    part("roofs", "the device's peak rates", 2000, 0.1),
    ...ofNetworks[0]!,
    ...(device.startsWith("gpu:") ? [part("host", "what the host needs for a step", 3000, 0.1)] : []),
    ...ofNetworks.slice(1).flat(),
    part("conv", `every form of the convolutions of ${firstName}`, 10_000, 0.25),
    part("matmul", "every form of matrix products", 10_000, 0.2),
    part("products", "matrix products by PyTorch", 10_000, 0.1),
    part("loader", `files to batches of ${crop} × ${crop}`, 5000, 0.15),
  ];
}

const PER_NETWORK = new Set<WorkName>(["steps", "torch", "kernels"]);

/** A process ends by itself before it is stopped. */
const OWN_SHARE = 0.85;

async function inProcess(job: Omit<Job, "limitMs">, limitMs: number, file: string): Promise<Outcome<Data>> {
  const whole: Job = { ...job, limitMs: OWN_SHARE * limitMs };
  const { error } = await runProcess([process.execPath, PROGRAM, JSON.stringify(whole), file], {}, limitMs);
  if (existsSync(file)) return { data: JSON.parse(readFileSync(file, "utf8")) as Data, problem: error };
  throw new Error(error ?? "it has measured nothing");
}

function show({ name, state, seconds, reason, data }: Ended<Data>): void {
  const skipped = data?.skipped?.length ?? 0;
  const rows = (data?.rows?.length ?? 0) + (data?.kernels?.length ?? 0);
  const counts = [rows > 0 && `${rows} times`, skipped > 0 && `${skipped} not timed`].filter(Boolean).join(", ");
  const what = state === "done" ? counts : `${state}: ${reason}`;
  print(`${bold(name.padEnd(26))} ${dim(state === "skipped" ? "" : duration(seconds))} ${what}`.trimEnd());
}
