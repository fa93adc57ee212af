/** Where a kernel is declared that the cpu has no loop of its own for: the workers import that module, and it runs there. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../support/folders.ts";
import { endOf } from "../support/processes.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
const LIBRARY = new URL("../../src/index.ts", import.meta.url).href;
const THREADS = 3;

const KERNEL = `
  export const double = kernel({
    name: "double",
    module: import.meta.url,
    wgsl: "",
    buffers: { x: "update" },
    uniforms: {},
    workgroups: () => [1, 1, 1],
    reference({ x }) {
      for (let i = 0; i < x.length; i++) x[i]! *= 2;
    },
  });
`;
const RUN = `
  const device = await openDevice({ device: "cpu", threads: ${THREADS} });
  const x = device.allocate("f32", 2);
  device.write(x, Float32Array.of(1, 2));
  device.run(double, { x }, {});
  console.log([...(await device.read(x))].join());
  await device.close();
`;
const IMPORTS = `import { appendFileSync } from "node:fs";\nimport { kernel, openDevice, shapes, createLoader } from "${LIBRARY}";\n`;

/** Runs main.ts among these files. Each line "runs FILE" of a file counts how many threads have run it. */
async function program(name: string, files: Readonly<Record<string, string>>) {
  const runs = (file: string) => join(folder.path, `${name}-${file}.runs`);
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(runs(file), "");
    const count = `appendFileSync(${JSON.stringify(runs(file))}, "x");\n`;
    writeFileSync(join(folder.path, `${name}-${file}.ts`), IMPORTS + count + text);
  }
  const command = [process.execPath, join(folder.path, `${name}-main.ts`)];
  const child = Bun.spawn(command, { cwd: folder.path, stdout: "pipe", stderr: "pipe" });
  const { code, stdout, stderr } = await endOf(child);
  const times = Object.keys(files).map((file) => [file, readFileSync(runs(file), "utf8").length]);
  // Bun shows the source, too.
  const errors = stderr.split("\n").filter((line) => /^(error|\w*Error): /.test(line));
  return { code, stdout, errors, times: Object.fromEntries(times) as Record<string, number> };
}

test("the main module is not run again by the workers", async () => {
  const { code, stdout, errors, times } = await program("alone", { main: KERNEL + RUN });
  expect({ code, stdout, times }).toEqual({ code: 1, stdout: "", times: { main: 1 } });
  expect(errors).toEqual([
    `DeviceError: cpu: kernel double is declared in the program's main module, ${join(folder.path, "alone-main.ts")}, ` +
      "which every worker would run again to find its reference loop: declare it in a separate module",
  ]);
});

test("a module of its own is run once by each worker", async () => {
  const main = `import { double } from "./own-kernel.ts";\n${RUN}`;
  const { code, stdout, errors, times } = await program("own", { main, kernel: KERNEL });
  expect({ code, stdout, errors, times }).toEqual({
    ...{ code: 0, stdout: "2,4\n", errors: [] },
    times: { main: 1, kernel: 1 + THREADS },
  });
});

const ADVICE =
  "by a module that a compute worker imports for a kernel's reference loop: " +
  "declare the kernel in a separate module that does nothing else";
test.each([
  ["a device", `await openDevice({ device: "cpu" });`, `a device is opened ${ADVICE}`],
  ["the best device", `await openDevice();`, `a device is opened ${ADVICE}`],
  [
    "a loader",
    `for await (const _ of createLoader({ ...shapes().train, read: undefined, place: () => ({ path: "none", offset: 0 }) }, { batch: 1, recordSize: 8 }));`,
    `threads are started ${ADVICE}`,
  ],
  ["nothing, but ends its thread", `process.exit(7);`, undefined],
])("a module that opens %s in the workers is told so", async (title, effect, message) => {
  const name = title.replaceAll(/\W/g, "-");
  const main = `import { double } from "./${name}-kernel.ts";\n${RUN}`;
  const kernel = `import { isMainThread } from "node:worker_threads";\n${KERNEL}\nif (!isMainThread) { ${effect} }`;
  const { code, stdout, errors, times } = await program(name, { main, kernel });
  expect({ code, stdout, main: times.main }).toEqual({ code: 1, stdout: "", main: 1 });
  expect(times.kernel).toBeLessThanOrEqual(1 + THREADS);
  if (message) expect(errors).toEqual([`DeviceError: cpu: kernel double failed: ${message}`]);
  else expect(errors[0]).toMatch(/^DeviceError: cpu: worker \d ended$/);
});
