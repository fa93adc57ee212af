/** What only the C library can do, on Linux. */
import { dlopen, ptr } from "bun:ffi";

/** Bun has it loaded already. musl's loader knows glibc's name as its own. */
export const LIBC = "libc.so.6";

/** Sets an environment variable for native libraries: they read C's environment, of which process.env is a copy. */
export function setForC(name: string, value: string): void {
  const { symbols } = dlopen(LIBC, { setenv: { args: ["ptr", "ptr", "i32"], returns: "i32" } });
  symbols.setenv(ptr(Buffer.from(`${name}\0`)), ptr(Buffer.from(`${value}\0`)), 1);
}
