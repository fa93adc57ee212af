/** What a rank's main thread and the thread that talks to MPI say to each other. */
import type { Launcher, Memory } from "../native/mpi.ts";

/** Places in the memory that both threads see. */
export const Pulse = {
  /** Counted up by the main thread while it is alive. */
  beats: 0,
  /** Set by the main thread as it ends without having closed: all ranks are to end, with this exit code. */
  abort: 1,
  /** Whoever wants to wait for a moment waits here; nobody ever wakes him. */
  never: 2,
} as const;

export interface Setup {
  readonly launcher: Launcher;
  readonly pulse: SharedArrayBuffer;
}

export type Order =
  | { readonly type: "sum"; readonly id: number; readonly parts: readonly Memory[]; readonly of: "f32" | "f64" }
  | { readonly type: "broadcast"; readonly id: number; readonly parts: readonly Memory[] }
  /** Sums of f32; `to` is this rank's block of them. */
  | { readonly type: "sumBlock"; readonly id: number; readonly from: number; readonly to: Memory }
  | { readonly type: "gather"; readonly id: number; readonly from: Memory; readonly to: number }
  /** This rank can't go on: the others are told why. */
  | { readonly type: "fail"; readonly line: string }
  | { readonly type: "close" };

export type Answer =
  | { readonly type: "ready"; readonly rank: number; readonly size: number; readonly mpi: string }
  | { readonly type: "done"; readonly id: number }
  /** Nothing more will be done. `said`: another rank says it to the user. */
  | { readonly type: "failed"; readonly message: string; readonly said: boolean }
  | { readonly type: "closed" };
