/** Fetches what the program would otherwise fetch when it first needs it. */
import { DeviceError } from "../../errors.ts";
import { findBlas, findWgpu, provideBlas, provideWgpu } from "../../native/libraries.ts";
import { allowDownloads } from "../../native/permission.ts";
import { working, type Context } from "../../ranks/context.ts";
import { pretrainedCheckpoint, PRETRAINED } from "../../runs/pretrained.ts";
import { FOR_PHOTOS } from "../../runs/weights.ts";
import { flag, type OptionsOf } from "../../schema.ts";

export const SETUP_OPTIONS = {
  weights: flag(`Also fetch the weights from which photos are trained (${PRETRAINED[FOR_PHOTOS].megabytes} MB)`),
};

export interface SetupOptions extends OptionsOf<typeof SETUP_OPTIONS> {}

/** Where something is, or why it isn't there. */
export interface Provided {
  readonly what: string;
  readonly path?: string;
  readonly problem?: string;
}

/**
 * Fetches wgpu-native, a BLAS where the system has none and, if wanted, weights; each only if it is missing. Libraries
 * that can't be had are in the result, since the program works without them. @throws DataError without the weights
 */
export async function setUp(call: SetupOptions & Context = {}): Promise<Provided[]> {
  const { options, note } = working("setUp", call, SETUP_OPTIONS);
  const provided = [
    await provide("wgpu-native, for GPUs", async () => {
      await provideWgpu(note);
      return (await findWgpu()).path;
    }),
    await provide("BLAS, for the CPU", async () => {
      await provideBlas(note);
      return (await findBlas())?.path;
    }),
  ];
  allowDownloads(note);
  if (options.weights) {
    const path = await pretrainedCheckpoint(FOR_PHOTOS, note);
    provided.push({ what: PRETRAINED[FOR_PHOTOS].title, path });
  }
  return provided;
}

async function provide(what: string, find: () => Promise<string | undefined>): Promise<Provided> {
  try {
    const path = await find();
    return path === undefined ? { what, problem: "it can't be loaded" } : { what, path };
  } catch (error) {
    if (error instanceof DeviceError) return { what, problem: error.message };
    throw error;
  }
}
