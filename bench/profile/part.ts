/**
 * One part of a profile as a process: `bun bench/profile/part.ts JOB FILE`. It writes to FILE what it has measured so far,
 * so that a crash of a driver, or the end of its time, loses only what was under way.
 */
import { end, say } from "../../src/cli/terminal.ts";
import { replaceFileSync } from "../../src/io/files.ts";
import { allowDownloads } from "../../src/native/permission.ts";
import type { Data } from "./document.ts";
import { reasonOf } from "./plan.ts";
import { doWork, type Job } from "./work.ts";

const [job = "", file = ""] = process.argv.slice(2);
allowDownloads((line) => say.info(line));
try {
  await doWork(JSON.parse(job) as Job, (data: Data) => replaceFileSync(file, JSON.stringify(data)));
  await end(0);
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`);
  await end(1);
}
