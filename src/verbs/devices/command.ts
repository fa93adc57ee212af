import { availableParallelism } from "node:os";
import { dim, plural, print, printJson, tableOrList } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { findAdapters } from "../../devices/open.ts";
import { findBlas } from "../../native/libraries.ts";
import { findLauncher, HOW_TO_GET_MPI } from "../../native/mpi.ts";
import { command } from "../../program.ts";

export default verb({
  description: "List the devices to compute on",
  prints: () => true,
  async run(_, { json }) {
    const { adapters, problem } = await findAdapters();
    const blas = await findBlas();
    const best = adapters.findIndex(({ kind }) => kind !== "software");
    const threads = availableParallelism();
    if (json) {
      adapters.forEach((adapter, i) => printJson({ device: `gpu:${i}`, default: i === best, ...adapter }));
      return printJson({ device: "cpu", default: best < 0, threads, blas: blas?.path ?? null });
    }
    const rows = adapters.map(({ name, kind, api, driver, limits }, i) => [
      `gpu:${i}`,
      name,
      kind,
      `${api} ${driver}`.trim(),
      `binds ${Math.round(limits.bindingBytes / 2 ** 20)} MiB`,
      i === best ? "default" : "",
    ]);
    rows.push([
      "cpu",
      plural(threads, "thread"),
      blas ? blas.kind : "no BLAS",
      "WebAssembly SIMD",
      "",
      best < 0 ? "default" : "",
    ]);
    print(tableOrList(rows));
    if (problem) print(dim(`can't look for GPUs: ${problem}`));
    const mpiexec = findLauncher();
    const together = mpiexec
      ? `to train on several, of one machine or many: ${mpiexec} -n N ${command("train …")}`
      : `to train on several, you need MPI. ${HOW_TO_GET_MPI}`;
    print(dim(together));
  },
});
