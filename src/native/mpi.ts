/**
 * MPI through `bun:ffi`: finds the library of the launcher that started this process, and calls a few of its functions.
 * MPI specifies functions but not handle values; three ABIs are in use: the standard one (MPI 5.0 §20), MPICH's, shared
 * by its derivatives, and Open MPI's, whose handles are addresses.
 */
import { dlopen, ptr, type FFIFunction, type Library, type Pointer } from "bun:ffi";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DeviceError } from "../errors.ts";
import { ancestors, ensureLauncherConnection } from "./pmi.ts";

/** Installation advice for error messages. */
export const HOW_TO_GET_MPI =
  "Debian: apt install openmpi-bin or mpich; macOS: brew install open-mpi or mpich; " +
  "anywhere: pip install mpich. Or set MPI_LIB_PATH to the library of the mpiexec in use";

/** What started this process as one of several. */
export interface Launcher {
  /** Whose library goes with it; both families may use PMIx. */
  readonly family: "mpich" | "openmpi" | "pmix";
  /** Number of processes; undefined where the launcher does not say. */
  readonly size: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The launcher according to the environment; undefined in a process started alone.
 * @throws DeviceError when Slurm started several tasks without a way to find each other
 */
export function launcherOf(env: Environment = process.env): Launcher | undefined {
  if (env.OMPI_COMM_WORLD_RANK !== undefined) return { family: "openmpi", size: count(env.OMPI_COMM_WORLD_SIZE) };
  // Hydra, Intel MPI, MS-MPI, and Slurm's pmi2.
  if (env.PMI_RANK !== undefined) return { family: "mpich", size: count(env.PMI_SIZE) };
  // Hydra with -pmi-port.
  if (env.PMI_ID !== undefined && env.PMI_PORT !== undefined) return { family: "mpich", size: undefined };
  if (env.PMIX_RANK !== undefined) return { family: "pmix", size: undefined };
  const tasks = count(env.SLURM_STEP_NUM_TASKS) ?? 1;
  // A batch script has Slurm's variables too, but is a single task.
  if (tasks === 1) return undefined;
  throw new DeviceError(`srun started ${tasks} tasks without MPI: start them with srun --mpi=pmix or --mpi=pmi2`);
}

function count(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && Number.isInteger(value) && value > 0 ? value : undefined;
}

/** Library names by family and system, those of the standard ABI first. */
const NAMES: Readonly<Record<"mpich" | "openmpi", Readonly<Record<string, readonly string[]>>>> = {
  mpich: {
    linux: ["libmpi_abi.so.1", "libmpi.so.12", "libmpich.so.12"],
    darwin: ["libmpi_abi.1.dylib", "libmpi_abi.dylib", "libmpi.12.dylib", "libmpich.12.dylib"],
    win32: ["impi.dll", "msmpi.dll"],
  },
  openmpi: {
    linux: ["libmpi_abi.so.1", "libmpi.so.40", "libmpi.so.80"],
    darwin: ["libmpi_abi.1.dylib", "libmpi.40.dylib", "libmpi.80.dylib"],
  },
};

/** Folders of libraries that the system's loader does not search by itself. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  linux: ["/usr/lib64/openmpi/lib", "/usr/lib64/mpich/lib"],
  darwin: ["/opt/homebrew/lib", "/usr/local/lib", "/opt/local/lib"],
};

/**
 * Opens the MPI library: the one in MPI_LIB_PATH, one beside the launcher, or one known to the system.
 * @throws DeviceError when there is none, or MPI_LIB_PATH names one that can't be used
 */
export function openMpi({ family, size }: Launcher): Mpi {
  const given = process.env.MPI_LIB_PATH;
  if (given) {
    const found = bind(given);
    if (found) return found;
    throw new DeviceError(
      `MPI_LIB_PATH is ${given}, which can't be loaded or is not an MPI library: correct or unset it`,
    );
  }
  const families = family === "pmix" ? (["openmpi", "mpich"] as const) : [family];
  const names = families.flatMap((each) => NAMES[each][process.platform] ?? []);
  const beside = launcherFolders().flatMap((folder) => names.map((name) => join(folder, name)));
  const known = (FOLDERS[process.platform] ?? []).flatMap((folder) => names.map((name) => join(folder, name)));
  for (const path of [...beside.filter(existsSync), ...names, ...known.filter(existsSync)]) {
    const found = bind(path);
    if (found) return found;
  }
  const several = size === undefined ? "several processes" : `${size} processes`;
  throw new DeviceError(
    `MPI started ${several}, but its library was not found (${names.join(", ")}): ${HOW_TO_GET_MPI}`,
  );
}

/** The launcher to call on this machine; undefined where there is none. */
export function findLauncher(): string | undefined {
  return ["mpiexec", "mpirun", "srun"].find((name) => Bun.which(name) !== null);
}

/** Library folders beside the launcher: those of this process's ancestors, and of the launchers in the PATH. */
function launcherFolders(): string[] {
  const programs = [
    ...ancestors().map(({ program }) => program),
    ...["mpiexec", "mpirun"].map((name) => Bun.which(name)),
  ];
  const isLauncher = /^(mpiexec|mpirun|hydra|orte|prte|ompi|pmi)/;
  const folders = programs.flatMap((program) => {
    if (!program) return [];
    const real = existsSync(program) ? realpathSync(program) : program;
    if (!isLauncher.test(basename(program)) && !isLauncher.test(basename(real))) return [];
    return [dirname(dirname(program)), dirname(dirname(real))];
  });
  return [...new Set(folders)].flatMap((folder) => [join(folder, "lib"), join(folder, "lib64")]);
}

const functions = {
  MPI_Init_thread: { args: ["ptr", "ptr", "i32", "ptr"], returns: "i32" },
  MPI_Comm_rank: { args: ["u64", "ptr"], returns: "i32" },
  MPI_Comm_size: { args: ["u64", "ptr"], returns: "i32" },
  MPI_Comm_set_errhandler: { args: ["u64", "u64"], returns: "i32" },
  MPI_Error_string: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  MPI_Get_library_version: { args: ["ptr", "ptr"], returns: "i32" },
  MPI_Iallreduce: { args: ["u64", "ptr", "i32", "u64", "u64", "u64", "ptr"], returns: "i32" },
  MPI_Ireduce_scatter_block: { args: ["ptr", "ptr", "i32", "u64", "u64", "u64", "ptr"], returns: "i32" },
  MPI_Iallgather: { args: ["ptr", "i32", "u64", "ptr", "i32", "u64", "u64", "ptr"], returns: "i32" },
  MPI_Ibcast: { args: ["ptr", "i32", "u64", "i32", "u64", "ptr"], returns: "i32" },
  MPI_Isend: { args: ["ptr", "i32", "u64", "i32", "i32", "u64", "ptr"], returns: "i32" },
  MPI_Irecv: { args: ["ptr", "i32", "u64", "i32", "i32", "u64", "ptr"], returns: "i32" },
  MPI_Test: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  MPI_Finalize: { args: [], returns: "i32" },
  MPI_Abort: { args: ["u64", "i32"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;

/** Handle values, and special pointers that are not addresses. */
interface Abi {
  readonly name: string;
  readonly world: number;
  readonly f32: number;
  readonly f64: number;
  readonly byte: number;
  readonly sum: number;
  readonly errorsReturn: number;
  readonly inPlace: number | bigint;
  readonly statusIgnore: number;
  /** MPI_THREAD_FUNNELED: one thread makes all calls. */
  readonly funneled: number;
}

// mpi_abi.h, MPI 5.0 appendix A.
const STANDARD: Abi = {
  ...{ name: "standard ABI", world: 0x101, f32: 0x210, f64: 0x214, byte: 0x247, sum: 0x21, errorsReturn: 0x143 },
  ...{ inPlace: 1, statusIgnore: 0, funneled: 1024 },
};

// MPICH's mpi.h, unchanged since 2014 in all members of its ABI initiative.
const MPICH: Abi = {
  ...{ name: "MPICH ABI", world: 0x44000000, f32: 0x4c00040a, f64: 0x4c00080b, byte: 0x4c00010d, sum: 0x58000003 },
  ...{ errorsReturn: 0x54000001, inPlace: 0xffffffffffffffffn, statusIgnore: 1, funneled: 1 },
};

/** Open MPI's objects, in the order in which `openMpiAbi` takes them. */
const OBJECTS = [
  ...["ompi_mpi_comm_world", "ompi_mpi_float", "ompi_mpi_double", "ompi_mpi_byte", "ompi_mpi_op_sum"],
  "ompi_mpi_errors_return",
] as const;

/** Open MPI's mpi.h: handles are addresses of exported objects. Undefined for another library. */
function openMpiAbi(path: string): Abi | undefined {
  try {
    const exported = Object.fromEntries(OBJECTS.map((name) => [name, { args: [], returns: "void" } as const]));
    const { symbols } = dlopen(path, exported);
    const [world, f32, f64, byte, sum, errorsReturn] = OBJECTS.map((name) =>
      Number((symbols[name] as unknown as { readonly ptr: Pointer }).ptr),
    ) as [number, number, number, number, number, number];
    const fixed = { inPlace: 1, statusIgnore: 0, funneled: 1 };
    return { name: "Open MPI ABI", world, f32, f64, byte, sum, errorsReturn, ...fixed };
  } catch {
    return undefined;
  }
}

/** Loads a library and detects its ABI; undefined when it can't be loaded or is not MPI. */
function bind(path: string): Mpi | undefined {
  try {
    const { symbols } = dlopen(path, functions);
    const abi = openMpiAbi(path) ?? (basename(path).includes("mpi_abi") ? STANDARD : MPICH);
    return new Mpi(path, symbols, abi);
  } catch {
    return undefined;
  }
}

/** An operation in progress: MPI's request handle. */
export type Request = BigUint64Array;

/** `length` bytes or numbers at an address; they must stay there until the request completes. */
export interface Memory {
  readonly address: number;
  readonly length: number;
}

/** MPI calls over all ranks (MPI_COMM_WORLD), all to be made by one thread. */
export class Mpi {
  readonly path: string;
  readonly #calls: Library<typeof functions>["symbols"];
  readonly #abi: Abi;
  readonly #flag = new Int32Array(1);

  constructor(path: string, calls: Library<typeof functions>["symbols"], abi: Abi) {
    this.path = path;
    this.#calls = calls;
    this.#abi = abi;
  }

  /** For messages: the first line of the library's version, and its ABI. */
  get description(): string {
    const text = new Uint8Array(8192);
    this.#calls.MPI_Get_library_version(ptr(text), ptr(this.#flag));
    const [line = ""] = new TextDecoder().decode(text.subarray(0, this.#flag[0]!)).split(/[\n\0]/);
    return `${line.replace(/\s+/g, " ").replace(/,.*/, "").trim()}, ${this.#abi.name}`;
  }

  /** Blocks until all ranks have called it. @throws DeviceError */
  init(): { readonly rank: number; readonly size: number } {
    ensureLauncherConnection();
    this.#check("MPI_Init_thread", this.#calls.MPI_Init_thread(null, null, this.#abi.funneled, ptr(this.#flag)));
    // Errors are returned as codes instead of ending the process.
    this.#calls.MPI_Comm_set_errhandler(this.#abi.world, this.#abi.errorsReturn);
    const [rank, size] = [new Int32Array(1), new Int32Array(1)];
    this.#check("MPI_Comm_rank", this.#calls.MPI_Comm_rank(this.#abi.world, ptr(rank)));
    this.#check("MPI_Comm_size", this.#calls.MPI_Comm_size(this.#abi.world, ptr(size)));
    return { rank: rank[0]!, size: size[0]! };
  }

  /** Starts an all-reduce: replaces numbers by their sums over all ranks. @throws DeviceError */
  sum({ address, length }: Memory, type: "f32" | "f64"): Request {
    const { inPlace, sum, world } = this.#abi;
    return this.#begin("MPI_Iallreduce", (request) =>
      this.#calls.MPI_Iallreduce(inPlace, address as Pointer, length, this.#abi[type], sum, world, request),
    );
  }

  /**
   * Starts a reduce-scatter: sums numbers over all ranks, of which each rank gets its block of `length`, in rank order.
   * @throws DeviceError
   */
  sumBlock(from: number, { address, length }: Memory): Request {
    const { f32, sum, world } = this.#abi;
    return this.#begin("MPI_Ireduce_scatter_block", (request) =>
      this.#calls.MPI_Ireduce_scatter_block(from as Pointer, address as Pointer, length, f32, sum, world, request),
    );
  }

  /** Starts an all-gather: collects the same number of bytes from each rank, in rank order. @throws DeviceError */
  gather({ address, length }: Memory, to: number): Request {
    const { byte, world } = this.#abi;
    return this.#begin("MPI_Iallgather", (request) =>
      this.#calls.MPI_Iallgather(address as Pointer, length, byte, to as Pointer, length, byte, world, request),
    );
  }

  /** Starts a broadcast of rank 0's bytes to all ranks. @throws DeviceError */
  broadcast({ address, length }: Memory): Request {
    const { byte, world } = this.#abi;
    return this.#begin("MPI_Ibcast", (request) =>
      this.#calls.MPI_Ibcast(address as Pointer, length, byte, 0, world, request),
    );
  }

  /** Starts sending bytes to a rank. @throws DeviceError */
  send({ address, length }: Memory, to: number): Request {
    const { byte, world } = this.#abi;
    return this.#begin("MPI_Isend", (request) =>
      this.#calls.MPI_Isend(address as Pointer, length, byte, to, 0, world, request),
    );
  }

  /** Starts receiving bytes from a rank, which must not send more than fit. @throws DeviceError */
  receive({ address, length }: Memory, from: number): Request {
    const { byte, world } = this.#abi;
    return this.#begin("MPI_Irecv", (request) =>
      this.#calls.MPI_Irecv(address as Pointer, length, byte, from, 0, world, request),
    );
  }

  /** Whether a request is complete; makes progress on all that are pending. @throws DeviceError when it failed */
  test(request: Request): boolean {
    this.#check("MPI_Test", this.#calls.MPI_Test(ptr(request), ptr(this.#flag), this.#abi.statusIgnore));
    return this.#flag[0] !== 0;
  }

  /** No request may be pending. @throws DeviceError */
  finalize(): void {
    this.#check("MPI_Finalize", this.#calls.MPI_Finalize());
  }

  /** Ends all ranks, this process among them. */
  abort(code: number): void {
    this.#calls.MPI_Abort(this.#abi.world, code);
  }

  #begin(name: string, call: (request: Pointer) => number): Request {
    // Eight bytes hold a handle of any ABI.
    const request = new BigUint64Array(1);
    this.#check(name, call(ptr(request)));
    return request;
  }

  #check(name: string, code: number): void {
    if (code === 0) return;
    const text = new Uint8Array(1024);
    this.#calls.MPI_Error_string(code, ptr(text), ptr(this.#flag));
    const words = new TextDecoder().decode(text.subarray(0, this.#flag[0]!)).replace(/\s+/g, " ").trim();
    throw new DeviceError(`${name}: ${words || `error ${code}`}`);
  }
}
