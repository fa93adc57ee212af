/**
 * A lock on a folder, so that no two processes write to it at once. It is the lock that SQLite takes on an empty
 * database: one of the operating system, which gives it back when the process ends, however it does; on Linux, macOS and
 * Windows, and on network disks that know locks. Who holds it stands in a file beside it, for the message alone. The empty
 * file stays: whoever takes it away may take it from under one who has opened it already.
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
/** What SQLite says of a disk whose locks fail. */
const NO_LOCKS = /^SQLITE_(IOERR|PROTOCOL|NOLFS)/;
/** What a lock puts into its folder. */
export const LOCK_FILES: readonly string[] = [LOCK, HOLDER];

/** A folder that another process, or another part of this one, is at work in. */
export class LockedError extends AlexNetError {}

export interface Lock extends Disposable {
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
    warn(`${path} can't be locked (${message}): see to it that nothing else writes to this folder`);
    return lock(() => {});
  }
}

const lock = (release: () => void): Lock => ({ release, [Symbol.dispose]: release });

/** @throws LockedError; what the system or SQLite says */
function acquire(folder: string, path: string): Database {
  // Its errors say more than SQLite's.
  accessSync(folder, constants.W_OK);
  requireEmpty(path);
  const database = new Database(path, { create: true, readwrite: true });
  try {
    // There is nothing to write, and so no need of a journal on the disk.
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
 * A lock that somebody else made may be a link, or a database whose journal has SQLite delete a file elsewhere.
 * @throws AlexNetError when there is anything but an empty file
 */
function requireEmpty(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found || (found.isFile() && found.size === 0)) return;
  throw new AlexNetError(`${path} is no lock of this program, which would be an empty file: remove it`);
}

function release(database: Database, holder: string): void {
  try {
    rmSync(holder, { force: true });
  } catch {
    // The folder can't be written to any more. Without the lock it says nothing.
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
  return oneLine(`${relative(".", folder) || "."} is in use by ${who}: wait for its end, or end it`);
}

/** Nothing where it is not written yet. */
function readHolder(path: string): Partial<Holder> {
  try {
    const { process: id, host, since } = JSON.parse(readPlainFile(path, MAX_HOLDER_BYTES).toString("utf8")) as Holder;
    if (!Number.isSafeInteger(id) || typeof host !== "string") return {};
    return { process: id, host, since: String(since).replace(/T(.{8}).*/, " $1 UTC") };
  } catch {
    return {};
  }
}
