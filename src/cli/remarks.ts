/** What was left alone of the images that a command was given, for people and for programs. */
import { inWords, isWarning, type Remark } from "../data/remarks.ts";
import { here, printJson, say } from "./terminal.ts";

/** A line each on standard error. */
export function sayRemarks(remarks: readonly Remark[]): void {
  for (const remark of remarks) say[isWarning(remark) ? "warn" : "info"](inWords(remark, here));
}

/** The same as JSON, for commands that print a line for each image. */
export function printRemarks(remarks: readonly Remark[]): void {
  for (const remark of remarks) printJson({ type: "remark", ...remark });
}
