/** The launchers of MPI that this machine has. REQUIRE_BACKENDS with "mpi" in it makes their absence a failure, as in CI. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MAIN } from "./cli.ts";
import { endOf, type Ended } from "./processes.ts";

export interface MpiLauncher {
  readonly name: string;
  readonly path: string;
}

const wheel = fileURLToPath(new URL("../../.cache/mpich/bin/mpiexec", import.meta.url));

/**
 * MPIEXEC names one; Debian has each under a name of its own; the wheel is where CI puts it. Most tests take the first:
 * MPICH's, since Open MPI's kills the ranks a second after it passed on a signal.
 */
const candidates: readonly [string, string | null][] = [
  ["MPIEXEC", process.env.MPIEXEC ?? null],
  ["MPICH", Bun.which("mpiexec.mpich")],
  ["Open MPI", Bun.which("mpiexec.openmpi")],
  ["MPICH's wheel", existsSync(wheel) ? wheel : null],
  ["mpiexec", Bun.which("mpiexec")],
];

const found = candidates.flatMap(([name, path]) => (path ? [{ name, path }] : []));
/** Plain `mpiexec` is one of the others, where there are others. */
export const launchers: readonly MpiLauncher[] =
  found.length > 1 ? found.filter(({ name }) => name !== "mpiexec") : found;

const required = (process.env.REQUIRE_BACKENDS ?? "").split(",").includes("mpi");
/** Why tests are skipped; undefined where they are not. */
export const missing = launchers.length > 0 || required ? undefined : "there is no mpiexec";

/** More ranks than cores, and a test that may run as root, are nothing that Open MPI allows by itself. */
const ENVIRONMENT = {
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  OMPI_MCA_rmaps_base_oversubscribe: "1",
};

export interface RanksStart {
  readonly launcher?: MpiLauncher;
  /** Arguments of one further rank. */
  readonly others?: readonly string[];
  /** What runs each rank: Bun, or a command that is handed Bun and the arguments. */
  readonly through?: readonly string[];
}

/**
 * A shell that says how its rank ended. MPICH 4.0's launcher can't be asked after it passed on a signal: its proxy then
 * counts every rank as 0 that it had not waited for when the last output was closed.
 */
export const SAY_STATUS = [
  "sh",
  "-c",
  'trap : INT TERM; "$@"; code=$?; echo "a rank ended with $code"; exit $code',
  "sh",
];

/** Starts a program on `size` ranks. */
export function startRanks(
  size: number,
  args: readonly string[],
  cwd: string,
  { launcher = launchers[0], others, through = [] }: RanksStart = {},
) {
  if (!launcher) throw new Error("mpi is required (REQUIRE_BACKENDS), but there is no mpiexec");
  const ranks = (count: number, own: readonly string[]) => ["-n", `${count}`, ...through, process.execPath, ...own];
  return Bun.spawn([launcher.path, ...ranks(size, args), ...(others ? [":", ...ranks(1, others)] : [])], {
    cwd,
    env: { ...process.env, ...ENVIRONMENT },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Options of the trainings on ranks: the cpu, a thread each. */
export const CPU = ["--device", "cpu", "--threads", "1"] as const;

/** Runs a command on `size` ranks, until all have ended. */
export function onRanks(size: number, args: readonly string[], cwd: string): Promise<RanksEnded> {
  return ended(startRanks(size, [MAIN, ...args], cwd));
}

export interface RanksEnded extends Ended {
  readonly seconds: number;
}

/** Waits for the end of all. */
export async function ended(child: ReturnType<typeof startRanks>): Promise<RanksEnded> {
  const start = performance.now();
  return { ...(await endOf(child)), seconds: (performance.now() - start) / 1000 };
}
