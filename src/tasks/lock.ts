/**
 * A lock on a folder, so that no two processes write to it at once. It is the lock that SQLite takes on an empty
 * database: one of the operating system, which gives it back when the process ends, however it does; on Linux, macOS and
 * Windows, and on network disks that know locks. Who holds it stands in a file beside it, for the message alone.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { accessSync, closeSync, constants, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, relative } from "node:path";
import { AlexNetError, oneLine } from "../errors.ts";
import { reason } from "../files.ts";

const LOCK = "lock";
const HOLDER = "lock.json";
/** What SQLite says of a disk whose locks fail. */
const NO_LOCKS = /^SQLITE_(IOERR|PROTOCOL|NOLFS)/;
/** What a lock puts into its folder, and takes out again. */
export const LOCK_FILES: readonly string[] = [LOCK, HOLDER];

/** A folder that another process, or another part of this one, is at work in. */
export class LockedError extends AlexNetError {}

export interface Lock {
  /** Once is enough; more do nothing. */
  release(): void;
}

/**
 * Locks a folder that is there, until `release` or the end of the process.
 * @param warn is told where the disk knows no locks: then there is none
 * @throws LockedError that names who holds it; AlexNetError when the folder can't be written to
 */
export function lockFolder(folder: string, warn: (line: string) => void): Lock {
  const path = join(folder, LOCK);
  try {
    const database = acquire(folder, path);
    writeFileSync(join(folder, HOLDER), `${JSON.stringify(myself())}\n`);
    let isHeld = true;
    return {
      release() {
        if (isHeld) release(folder, database);
        isHeld = false;
      },
    };
  } catch (error) {
    if (error instanceof AlexNetError) throw error;
    const { code, message } = error as SQLiteError;
    if (!NO_LOCKS.test(code ?? "")) {
      throw new AlexNetError(`can't write to ${folder}: ${LOCK}: ${reason(error)}`, { cause: error });
    }
    warn(`${path} can't be locked (${message}): see to it that nothing else writes to this folder`);
    return { release() {} };
  }
}

const TRIES = 100;

function acquire(folder: string, path: string): Database {
  for (let failures = 0; ;) {
    const before = fileNumber(path) ?? create(path);
    if (before === undefined) continue;
    let database: Database | undefined;
    try {
      // Its errors say more than SQLite's.
      accessSync(path, constants.W_OK);
      database = new Database(path, { readwrite: true });
      // There is nothing to write, and so no need of a journal on the disk.
      database.run("PRAGMA journal_mode = MEMORY");
      database.run("BEGIN EXCLUSIVE");
      // Its holder may have taken the file away in between: then this is the lock of a file that nobody else finds.
      if (fileNumber(path) === before) return database;
      database.close();
    } catch (error) {
      database?.close();
      if ((error as SQLiteError).code?.startsWith("SQLITE_BUSY")) throw new LockedError(inUse(folder));
      // The file may be gone again; what else fails, fails each time.
      if (++failures === TRIES) throw error;
    }
  }
}

/** What tells a file from another of the same name; undefined when there is none. */
function fileNumber(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/**
 * Makes an empty file; undefined where another made it, and has taken it away again. Once it is there it is opened by
 * SQLite only: on Unix a process loses its locks of a file when it closes it anywhere.
 */
function create(path: string): bigint | undefined {
  try {
    closeSync(openSync(path, "wx"));
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  return fileNumber(path);
}

function release(folder: string, database: Database): void {
  remove(join(folder, HOLDER));
  // Windows takes no file away that is open: there it is the other way round, and left to who has opened it since.
  if (process.platform !== "win32") remove(join(folder, LOCK));
  database.close();
  if (process.platform === "win32") remove(join(folder, LOCK));
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The folder can't be written to any more. A file that nobody has locked is no lock.
  }
}

interface Holder {
  readonly process: number;
  readonly host: string;
  readonly since: string;
}

function myself(): Holder {
  return { process: process.pid, host: hostname(), since: new Date().toISOString() };
}

function inUse(folder: string): string {
  const { process: id, host, since } = readHolder(join(folder, HOLDER));
  const who = id === undefined ? "another process" : `process ${id} on ${host}, since ${since}`;
  return oneLine(`${relative(".", folder) || "."} is in use by ${who}: wait for its end, or end it`);
}

/** Nothing where it is not written yet. */
function readHolder(path: string): Partial<Holder> {
  try {
    const { process: id, host, since } = JSON.parse(readFileSync(path, "utf8")) as Holder;
    if (!Number.isSafeInteger(id) || typeof host !== "string") return {};
    return { process: id, host, since: String(since).replace(/T(.{8}).*/, " $1 UTC") };
  } catch {
    return {};
  }
}
