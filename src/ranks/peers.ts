/**
 * Heartbeats. Every rank sends one to rank 0 each second, and rank 0 to every rank; a rank that falls silent hangs or is
 * cut off. A rank that can't go on says why, and rank 0 passes it on. MPI itself would wait forever.
 */
import { ptr } from "bun:ffi";
import { oneLine } from "../errors.ts";
import type { Memory, Mpi, Request } from "../native/mpi.ts";

const BEAT_MS = 1000;
/** Rank 0 reports first, since it hears from all. */
const SILENCE_MS = { first: 24_000, others: 27_000 } as const;

/** Kinds of messages: a rank is alive, can't go on, or won't send anything more. */
const ALIVE = 0;
const FAILED = 1;
const LEAVING = 2;
/** One byte of kind, two of length, and the text. */
const MESSAGE_BYTES = 1024;
const TEXT_AT = 4;

interface Peer {
  readonly rank: number;
  readonly incoming: Uint8Array;
  receiving: Request | undefined;
  readonly outgoing: Uint8Array;
  sending: Request | undefined;
  heardAt: number;
  left: boolean;
  /** Messages that wait for the one being sent. */
  readonly unsaid: { readonly kind: number; readonly text: string }[];
}

export interface News {
  readonly message: string;
  readonly said: boolean;
}

export class Peers {
  readonly #mpi: Mpi;
  readonly #rank: number;
  readonly #size: number;
  readonly #beats: () => number;
  readonly #peers: readonly Peer[];
  #beatAt = 0;
  #leaving = false;
  #beaten = -1;

  /** @param beats a counter that rises while this rank's main thread is alive */
  constructor(mpi: Mpi, rank: number, size: number, beats: () => number) {
    this.#mpi = mpi;
    this.#rank = rank;
    this.#size = size;
    this.#beats = beats;
    const ranks = rank === 0 ? Array.from({ length: size - 1 }, (_, i) => i + 1) : [0];
    this.#peers = ranks.map((peer) => ({
      rank: peer,
      incoming: new Uint8Array(MESSAGE_BYTES),
      receiving: undefined,
      outgoing: new Uint8Array(MESSAGE_BYTES),
      sending: undefined,
      heardAt: performance.now(),
      left: false,
      unsaid: [],
    }));
    for (const peer of this.#peers) peer.receiving = mpi.receive(memory(peer.incoming), peer.rank);
  }

  /** Whether all peers have left and no message is in flight. */
  get parted(): boolean {
    return this.#peers.every(({ left, sending, unsaid }) => left && !sending && unsaid.length === 0);
  }

  /** Tells the other ranks why this one can't go on. */
  tell(line: string): void {
    this.#say(FAILED, line);
  }

  /** Announces that this rank sends nothing more. */
  takeLeave(): void {
    this.#leaving = true;
    this.#say(LEAVING, "");
  }

  /** Sends and receives what is due. @returns once, when the ranks can't go on, the reason */
  listen(): News | undefined {
    const now = performance.now();
    let news: News | undefined;
    for (const peer of this.#peers) {
      while (peer.receiving && this.#mpi.test(peer.receiving)) {
        peer.heardAt = now;
        const { kind, text } = unpack(peer.incoming);
        peer.left = kind === LEAVING;
        peer.receiving = peer.left ? undefined : this.#mpi.receive(memory(peer.incoming), peer.rank);
        if (kind !== FAILED) continue;
        // Rank 0 tells the user; a rank that heard it from rank 0 need not.
        news ??= { message: text, said: this.#rank !== 0 };
        if (this.#rank === 0) this.#say(FAILED, text, peer);
      }
    }
    news ??= this.#silence(now);
    this.#beat(now);
    for (const peer of this.#peers) this.#send(peer);
    return news;
  }

  #silence(now: number): News | undefined {
    const limit = this.#rank === 0 ? SILENCE_MS.first : SILENCE_MS.others;
    const silent = this.#peers.find(({ left, heardAt }) => !left && now - heardAt > limit);
    if (!silent) return undefined;
    const message =
      `rank ${silent.rank} of ${this.#size} has not been heard from for ${limit / 1000} s: ` +
      `it hangs, or its machine can't be reached`;
    if (this.#rank === 0) this.#say(FAILED, message);
    for (const peer of this.#peers) peer.heardAt = now;
    // When rank 0 itself is silent, rank 1 reports it.
    return { message, said: this.#rank > 1 };
  }

  #beat(now: number): void {
    // A rank whose main thread is stuck does not count as alive.
    if (this.#leaving || now - this.#beatAt < BEAT_MS || this.#beats() === this.#beaten) return;
    this.#beatAt = now;
    this.#beaten = this.#beats();
    for (const peer of this.#peers) if (!peer.sending && peer.unsaid.length === 0) peer.unsaid.push(BEAT);
  }

  #say(kind: number, text: string, except?: Peer): void {
    for (const peer of this.#peers) if (peer !== except) peer.unsaid.push({ kind, text });
  }

  #send(peer: Peer): void {
    if (peer.sending && this.#mpi.test(peer.sending)) peer.sending = undefined;
    const next = peer.sending ? undefined : peer.unsaid.shift();
    if (!next) return;
    pack(peer.outgoing, next.kind, next.text);
    peer.sending = this.#mpi.send(memory(peer.outgoing), peer.rank);
  }
}

const BEAT = { kind: ALIVE, text: "" } as const;

function memory(bytes: Uint8Array): Memory {
  return { address: ptr(bytes), length: bytes.length };
}

export function pack(message: Uint8Array, kind: number, text: string): void {
  const { written } = new TextEncoder().encodeInto(text, message.subarray(TEXT_AT));
  message.set([kind, written & 255, written >> 8], 0);
}

/** Messages of other processes are checked like any foreign input. */
export function unpack(message: Uint8Array): { readonly kind: number; readonly text: string } {
  const length = Math.min(message[1]! + 256 * message[2]!, MESSAGE_BYTES - TEXT_AT);
  const text = new TextDecoder().decode(message.subarray(TEXT_AT, TEXT_AT + length));
  return { kind: message[0]!, text: oneLine(text) };
}
