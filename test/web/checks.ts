/** Runs in a page: what the tests there ask it to do, as functions of `window`. */
import { kernelCases } from "../../src/engine/ops/cases.ts";
import { checkKernels, wordsOf } from "../../src/verbs/doctor/kernels.ts";
import { openInPage, type PageDeviceOptions } from "../../src/web/device.ts";

async function open(device: PageDeviceOptions["device"]) {
  const kernels = new Uint8Array(await (await fetch("kernels.wasm")).arrayBuffer());
  return openInPage({ kernels, ...(device && { device }) });
}

/** Every kernel at its sizes, those of at most `most` numbers. */
async function kernels(device: PageDeviceOptions["device"], most = Infinity) {
  await using backend = await open(device);
  const small = kernelCases.filter(({ buffers }) =>
    Object.values(buffers).every((given) => (typeof given === "number" ? given : given.length) <= most),
  );
  const cases = small.filter(({ uniforms }) => backend.kind !== "cpu" || (uniforms.splits ?? 1) === 1);
  const report = await checkKernels(backend, () => {}, cases);
  return { ...report, description: backend.description, wrong: wordsOf(report) };
}

Object.assign(globalThis, { kernels });
