/**
 * Whether this thread is a compute worker of the cpu backend. For the reference loop of a kernel it imports the module that
 * declares it, and so runs all that stands in there: what would start threads of its own in every one of them is refused.
 */
import { DeviceError } from "../errors.ts";

let isComputeWorker = false;

/** Called by a compute worker when it begins. */
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
      "declare the kernel in a module of its own, which only declares",
  );
}
