/** The messages between a rank's main thread and the thread that makes its MPI calls. */
import type { Launcher, Memory } from "../native/mpi.ts";

/** Indices into the memory that both threads share. */
export const Pulse = {
  /** Incremented by the main thread while it is alive. */
  beats: 0,
  /** An exit code, set by a main thread that ends without closing: all ranks must then end with it. */
  abort: 1,
  /** Never notified; used to sleep. */
  never: 2,
  /** What a blocked main thread waits for: 1 + the number of the sum that is done, or −1 when nothing more will be. */
  summed: 3,
} as const;

export interface Setup {
  readonly launcher: Launcher;
  readonly pulse: SharedArrayBuffer;
}

export type Order =
  | {
      readonly type: "sum";
      readonly id: number;
      readonly parts: readonly Memory[];
      readonly of: "f32" | "f64";
      /** Whether the main thread is blocked until it is done. */
      readonly blocks?: boolean;
    }
  | { readonly type: "broadcast"; readonly id: number; readonly parts: readonly Memory[] }
  /** Sums of float32 numbers; `to` receives this rank's block. */
  | { readonly type: "sumBlock"; readonly id: number; readonly from: number; readonly to: Memory }
  | { readonly type: "gather"; readonly id: number; readonly from: Memory; readonly to: number }
  /** This rank can't go on; the others are told why. */
  | { readonly type: "fail"; readonly line: string }
  | { readonly type: "close" };

export type Reply =
  | { readonly type: "ready"; readonly rank: number; readonly size: number; readonly mpi: string }
  | { readonly type: "done"; readonly id: number }
  /** Nothing more will be done. `said`: another rank reports it to the user. */
  | { readonly type: "failed"; readonly message: string; readonly said: boolean }
  | { readonly type: "closed" };
