/**
 * Knows whether this thread is a compute worker of the cpu backend. A worker imports the module that declares a kernel
 * to get its reference loop, and so runs that whole module: it is kept from opening devices, which would start threads
 * in every worker.
 */
import { DeviceError } from "../errors.ts";

let isComputeWorker = false;

/** Called by a compute worker when it starts. */
export function enterComputeWorker(): void {
  isComputeWorker = true;
}

/**
 * @param what such as "a device is opened"
 * @throws DeviceError in a compute worker
 */
export function refuseInComputeWorker(what: string): void {
  if (!isComputeWorker) return;
  throw new DeviceError(
    `${what} by a module that a compute worker imports for a kernel's reference loop: ` +
      "declare the kernel in a separate module that does nothing else",
  );
}
