/**
 * Signs of life. Each rank tells rank 0 every second that it is there, and rank 0 tells each; who falls silent hangs, or is
 * cut off. A rank that can't go on says why, and rank 0 passes that on. MPI itself would wait forever.
 */
import { ptr } from "bun:ffi";
import { oneLine } from "../errors.ts";
import type { Memory, Mpi, Request } from "../native/mpi.ts";

const BEAT_MS = 1000;
/** Rank 0 speaks up first, since it knows of all. */
const SILENCE_MS = { first: 24_000, others: 27_000 } as const;

/** What a message is: that a rank is alive, that it can't go on, that it will say no more. */
const ALIVE = 0;
const FAILED = 1;
const LEAVING = 2;
/** Kind and length, a byte and two, and the text. */
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
  /** What is to be said once what is being said is out. */
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

  /** @param beats counts up while this rank's main thread is alive */
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

  /** Whether all have taken their leave and nothing is under way between them. */
  get parted(): boolean {
    return this.#peers.every(({ left, sending, unsaid }) => left && !sending && unsaid.length === 0);
  }

  /** Tells the others why this rank can't go on. */
  tell(line: string): void {
    this.#say(FAILED, line);
  }

  /** The last word. */
  takeLeave(): void {
    this.#leaving = true;
    this.#say(LEAVING, "");
  }

  /** Sends and receives what there is. @returns why the ranks can't go on, if that is so; once */
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
        // Rank 0 tells the user; whom it told needn't.
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
      `rank ${silent.rank} of ${this.#size} has not been heard of for ${limit / 1000} s: ` +
      `it hangs, or its machine can't be reached`;
    if (this.#rank === 0) this.#say(FAILED, message);
    for (const peer of this.#peers) peer.heardAt = now;
    // When rank 0 itself is silent, the next one speaks.
    return { message, said: this.#rank > 1 };
  }

  #beat(now: number): void {
    // A rank whose main thread does nothing any more is not alive.
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

/** What came from another process is looked at like anything from outside. */
export function unpack(message: Uint8Array): { readonly kind: number; readonly text: string } {
  const length = Math.min(message[1]! + 256 * message[2]!, MESSAGE_BYTES - TEXT_AT);
  const text = new TextDecoder().decode(message.subarray(TEXT_AT, TEXT_AT + length));
  return { kind: message[0]!, text: oneLine(text) };
}
