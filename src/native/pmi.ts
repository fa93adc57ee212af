/**
 * The line to MPICH's launcher. Hydra hands it to its children as an open file, whose number PMI_FD names; `bun run`
 * closes all open files in what it starts. It still has them itself, though, and Linux lets a process fetch an open file
 * from another one of the same user, unless it is set up more strictly.
 */
import { dlopen } from "bun:ffi";
import { fstatSync, readFileSync, readlinkSync } from "node:fs";
import { DeviceError } from "../errors.ts";
import { LIBC, setForC } from "./libc.ts";

// The same on all of Linux's processors that Bun runs on.
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;

/** The processes that this one descends from, nearest first, where the system tells. */
export function ancestors(): { readonly id: number; readonly program: string }[] {
  const found: { id: number; program: string }[] = [];
  try {
    for (let id = process.ppid; id > 1;) {
      found.push({ id, program: readlinkSync(`/proc/${id}/exe`) });
      // The name, in brackets, may hold anything; the parent is the second field behind it.
      id = Number(readFileSync(`/proc/${id}/stat`, "utf8").split(")").at(-1)!.trim().split(" ")[1]);
    }
  } catch {
    // Another system, or somebody else's process.
  }
  return found;
}

/**
 * Sees to it that the file of PMI_FD is open, before MPI is initialised.
 * @throws DeviceError when it is closed and can't be had back
 */
export function holdLine(): void {
  const named = process.env.PMI_FD;
  if (named === undefined || isOpenSocket(Number(named))) return;
  const fetched = process.platform === "linux" ? fetchSocket(Number(named)) : undefined;
  if (fetched !== undefined) {
    setForC("PMI_FD", String(fetched));
    return;
  }
  throw new DeviceError(
    "`bun run` has closed the connection to MPICH's launcher, and it can't be had back here: start with " +
      "mpiexec -pmi-port -n N bun run …, or without `bun run`: mpiexec -n N bun src/main.ts …",
  );
}

/**
 * Lets the process end by C's `exit` instead of Bun's own way on Linux, which skips what libraries registered for the end:
 * MPICH takes leave of its launcher there, since 4.2, and the launcher kills the ranks that are left when one goes without.
 */
export function endThroughC(): void {
  if (process.platform !== "linux") return;
  const { symbols } = dlopen(LIBC, { exit: { args: ["i32"], returns: "void" } });
  process.on("exit", (code) => symbols.exit(code));
}

function isOpenSocket(file: number): boolean {
  try {
    return fstatSync(file).isSocket();
  } catch {
    return false;
  }
}

/** An open file of the launcher's own child, under a number of this process. */
function fetchSocket(file: number): number | undefined {
  const { symbols } = dlopen(LIBC, { syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" } });
  const call = (number: number, a: number, b: number, c: number) => Number(symbols.syscall(number, a, b, c));
  const above = ancestors();
  const launcher = above.findIndex(({ program }) => program.includes("hydra_pmi_proxy"));
  const holder = above[launcher - 1];
  if (!holder) return undefined;
  const process = call(PIDFD_OPEN, holder.id, 0, 0);
  const fetched = process < 0 ? -1 : call(PIDFD_GETFD, process, file, 0);
  return fetched >= 0 && isOpenSocket(fetched) ? fetched : undefined;
}
