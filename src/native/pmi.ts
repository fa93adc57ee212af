/**
 * The connection to MPICH's launcher. Hydra passes it to its children as an open file, with its descriptor in PMI_FD;
 * `bun run` closes all open files in the processes it starts. But `bun run` itself still has them, and Linux lets a
 * process duplicate another's open file if both belong to the same user, unless hardened.
 */
import { dlopen } from "bun:ffi";
import { fstatSync, readFileSync, readlinkSync } from "node:fs";
import { DeviceError } from "../errors.ts";
import { command, installation } from "../program.ts";
import { LIBC, setForC } from "./libc.ts";

// System call numbers, the same on all architectures that Bun runs on.
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;

/** This process's ancestors, nearest first, as far as the system shows them. */
export function ancestors(): { readonly id: number; readonly program: string }[] {
  const found: { id: number; program: string }[] = [];
  try {
    for (let id = process.ppid; id > 1;) {
      found.push({ id, program: readlinkSync(`/proc/${id}/exe`) });
      // The name, in parentheses, may hold anything; the parent is the second field after it.
      id = Number(readFileSync(`/proc/${id}/stat`, "utf8").split(")").at(-1)!.trim().split(" ")[1]);
    }
  } catch {
    // Not Linux, or another user's process.
  }
  return found;
}

/**
 * Makes sure that the connection in PMI_FD is open. Call before initialising MPI.
 * @throws DeviceError when it is closed and can't be recovered
 */
export function ensureLauncherConnection(): void {
  const named = process.env.PMI_FD;
  if (named === undefined || isOpenSocket(Number(named))) return;
  const fetched = process.platform === "linux" ? fetchSocket(Number(named)) : undefined;
  if (fetched !== undefined) {
    setForC("PMI_FD", String(fetched));
    return;
  }
  throw new DeviceError(
    "the connection to MPICH's launcher was closed on the way to this process, and can't be recovered here: start " +
      `with mpiexec -pmi-port -n N ${command("…")}${installation === "checkout" ? ", or mpiexec -n N bun src/main.ts …" : ""}`,
  );
}

/**
 * Makes the process end through C's `exit`, which runs the exit handlers of libraries; on Linux Bun skips them. Since
 * 4.2, MPICH signs off from its launcher in one, and the launcher kills the other ranks when one ends without that.
 */
export function exitThroughC(): void {
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

/** Duplicates an open file of the launcher's direct child. @returns a descriptor of this process */
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
