/** Calls into the C library on Linux. */
import { dlopen, ptr } from "bun:ffi";

/** Already loaded by Bun. musl's loader resolves glibc's name to itself. */
export const LIBC = "libc.so.6";

/** Sets an environment variable for native libraries, which read C's environment; process.env is only a copy of it. */
export function setForC(name: string, value: string): void {
  const { symbols } = dlopen(LIBC, { setenv: { args: ["ptr", "ptr", "i32"], returns: "i32" } });
  symbols.setenv(ptr(Buffer.from(`${name}\0`)), ptr(Buffer.from(`${value}\0`)), 1);
}
