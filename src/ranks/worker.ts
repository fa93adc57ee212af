/**
 * The thread that makes all MPI calls of a rank. MPI makes progress only while it is called, so it must be polled; the
 * main thread must not wait for it. Orders are started as they arrive, which is the same order on all ranks, and polled
 * until they are done.
 */
import { DeviceError } from "../errors.ts";
import { openMpi, type Mpi, type Request } from "../native/mpi.ts";
import { Pulse, type Reply, type Order, type Setup } from "./orders.ts";
import { Peers } from "./peers.ts";

/** How often orders in progress are polled; less often after a while of waiting for another rank. */
const PAUSE_MS = 0.05;
const LONG_PAUSE_MS = 1;
const PATIENCE_MS = 100;
/** How often heartbeats are received when there are no orders. */
const IDLE_MS = 20;

declare const self: Worker;

let mpi: Mpi;
let peers: Peers;
let pulse: Int32Array;
/** In the order in which they were started. */
const underway: { readonly id: number; readonly requests: Request[]; readonly blocks?: boolean }[] = [];
let lastOrder = 0;
let closing = false;
let failed = false;
let wake = () => {};

const answer = (message: Reply) => self.postMessage(message);

self.onmessage = ({ data }: MessageEvent<Setup | Order>) => {
  guarded(() => ("launcher" in data ? start(data) : obey(data)));
  wake();
};

/** An error here ends the main thread's work, and with it the process. */
function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    fail();
    const message = error instanceof DeviceError ? error.message : String(error);
    answer({ type: "failed", message, said: false });
  }
}

function fail(): void {
  failed = true;
  tellBlocked(-1);
}

function tellBlocked(summed: number): void {
  Atomics.store(pulse, Pulse.summed, summed);
  Atomics.notify(pulse, Pulse.summed);
}

function start(setup: Setup): void {
  pulse = new Int32Array(setup.pulse);
  mpi = openMpi(setup.launcher);
  const { rank, size } = mpi.init();
  if (setup.launcher.size !== undefined && setup.launcher.size !== size) {
    throw new DeviceError(
      `${setup.launcher.size} processes were started together, but MPI in ${mpi.path} knows of ${size}: it is not the ` +
        `launcher's own; set MPI_LIB_PATH to the launcher's library`,
    );
  }
  peers = new Peers(mpi, rank, size, () => Atomics.load(pulse, Pulse.beats));
  answer({ type: "ready", rank, size, mpi: mpi.description });
  void attend();
}

function obey(order: Order): void {
  lastOrder = performance.now();
  switch (order.type) {
    case "sum":
      underway.push({
        id: order.id,
        requests: order.parts.map((part) => mpi.sum(part, order.of)),
        ...(order.blocks && { blocks: true }),
      });
      break;
    case "broadcast":
      underway.push({ id: order.id, requests: order.parts.map((part) => mpi.broadcast(part)) });
      break;
    case "gather":
      underway.push({ id: order.id, requests: [mpi.gather(order.from, order.to)] });
      break;
    case "sumBlock":
      underway.push({ id: order.id, requests: [mpi.sumBlock(order.from, order.to)] });
      break;
    case "fail":
      failed = true;
      peers.tell(order.line);
      break;
    case "close":
      closing = true;
      peers.takeLeave();
      break;
  }
}

/** Runs until the ranks have parted. */
async function attend(): Promise<void> {
  while (!(closing && underway.length === 0 && peers.parted)) {
    const abort = Atomics.load(pulse, Pulse.abort);
    if (abort !== 0) mpi.abort(abort);
    guarded(look);
    await rest();
  }
  guarded(() => {
    mpi.finalize();
    answer({ type: "closed" });
  });
}

function look(): void {
  const news = peers.listen();
  if (news && !failed) {
    fail();
    answer({ type: "failed", ...news });
  }
  // After a failure these are no longer awaited, and other ranks may never take part in them.
  if (failed) underway.length = 0;
  for (const { id, requests, blocks } of underway) {
    while (requests[0] && mpi.test(requests[0])) requests.shift();
    if (requests.length > 0) continue;
    if (blocks) tellBlocked(id + 1);
    else answer({ type: "done", id });
  }
  for (let i = underway.length - 1; i >= 0; i--) if (underway[i]!.requests.length === 0) underway.splice(i, 1);
}

/** Yields to the main thread's messages. */
async function rest(): Promise<void> {
  if (underway.length === 0) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, IDLE_MS);
    wake = resolve;
    await promise;
    clearTimeout(timer);
    return;
  }
  const isLong = performance.now() - lastOrder > PATIENCE_MS;
  Atomics.wait(pulse, Pulse.never, 0, isLong ? LONG_PAUSE_MS : PAUSE_MS);
  await new Promise<void>((resolve) => setImmediate(resolve));
}
