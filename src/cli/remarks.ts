/** Prints remarks on the images given to a command (what was ignored, what looks odd), for people and for programs. */
import { inWords, isWarning, type Remark } from "../data/remarks.ts";
import { here, printJson, say } from "./terminal.ts";

/** On standard error, a line each. */
export function sayRemarks(remarks: readonly Remark[]): void {
  for (const remark of remarks) say[isWarning(remark) ? "warn" : "info"](inWords(remark, here));
}

/** As JSON on standard output, for commands that print a line for each image. */
export function printRemarks(remarks: readonly Remark[]): void {
  for (const remark of remarks) printJson({ type: "remark", ...remark });
}
