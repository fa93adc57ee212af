/**
 * A lock on a folder, so that no two processes write to it at once: SQLite's lock on an empty database. It is an
 * operating-system lock, released however the process ends, and works on Linux, macOS, Windows, and network disks that
 * support locks. A file beside it says who holds it, for messages only. The empty file is never deleted: another
 * process may have it open already.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { accessSync, constants, lstatSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join, relative } from "node:path";
import { AlexNetError, oneLine } from "../errors.ts";
import { readPlainFile, reason, replaceFileSync } from "./files.ts";

const LOCK = "lock";
const HOLDER = "lock.json";
const MAX_HOLDER_BYTES = 4096;
/** SQLite's error codes on a disk whose locks don't work. */
const NO_LOCKS = /^SQLITE_(IOERR|PROTOCOL|NOLFS)/;
/** The files that a lock puts into its folder. */
export const LOCK_FILES: readonly string[] = [LOCK, HOLDER];

/** The folder is in use by another process, or by another part of this one. */
export class LockedError extends AlexNetError {}

export interface Lock extends Disposable {
  /** Calls after the first do nothing. */
  release(): void;
}

/**
 * Locks an existing folder until `release` or the end of the process.
 * @param warn called when the disk does not support locks; the folder is then not locked
 * @throws LockedError that names the holder; AlexNetError when the folder can't be written to
 */
export function lockFolder(folder: string, warn: (line: string) => void): Lock {
  const path = join(folder, LOCK);
  const holder = join(folder, HOLDER);
  let database: Database | undefined;
  try {
    database = acquire(folder, path);
    replaceFileSync(holder, `${JSON.stringify(myself())}\n`);
    return lock(() => {
      if (database) release(database, holder);
      database = undefined;
    });
  } catch (error) {
    database?.close();
    if (error instanceof AlexNetError) throw error;
    const { code, message } = error as SQLiteError;
    if (!NO_LOCKS.test(code ?? "")) {
      throw new AlexNetError(`can't write to ${folder}: ${reason(error)}`, { cause: error });
    }
    warn(`${path} can't be locked (${message}): make sure that nothing else writes to this folder`);
    return lock(() => {});
  }
}

const lock = (release: () => void): Lock => ({ release, [Symbol.dispose]: release });

/** @throws LockedError; the system's or SQLite's error */
function acquire(folder: string, path: string): Database {
  // The system's errors say more than SQLite's.
  accessSync(folder, constants.W_OK);
  requireEmpty(path);
  const database = new Database(path, { create: true, readwrite: true });
  try {
    // Nothing is written, so no journal is needed on disk.
    database.run("PRAGMA journal_mode = MEMORY");
    database.run("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if ((error as SQLiteError).code?.startsWith("SQLITE_BUSY")) throw new LockedError(inUse(folder));
    throw error;
  }
}

/**
 * A planted lock may be a link, or a database whose journal makes SQLite delete a file elsewhere.
 * @throws AlexNetError when it is anything but an empty file
 */
function requireEmpty(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found || (found.isFile() && found.size === 0)) return;
  throw new AlexNetError(`${path} is not a lock of this program, which would be an empty file: remove it`);
}

function release(database: Database, holder: string): void {
  try {
    rmSync(holder, { force: true });
  } catch {
    // The folder has become read-only. Without the lock the file means nothing.
  }
  database.close();
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
  return oneLine(`${relative(".", folder) || "."} is in use by ${who}: wait until it ends, or stop it`);
}

/** Empty if it has not been written yet. */
function readHolder(path: string): Partial<Holder> {
  try {
    const { process: id, host, since } = JSON.parse(readPlainFile(path, MAX_HOLDER_BYTES).toString("utf8")) as Holder;
    if (!Number.isSafeInteger(id) || typeof host !== "string") return {};
    return { process: id, host, since: String(since).replace(/T(.{8}).*/, " $1 UTC") };
  } catch {
    return {};
  }
}
