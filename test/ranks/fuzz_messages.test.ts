/** Damaged messages between ranks: something is read of each, and what is shown of it is one line of plain text. */
import { expect, test } from "bun:test";
import { pack, unpack } from "../../src/ranks/peers.ts";
import { mutate, ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";

const MESSAGE_BYTES = 1024;

test(
  "messages between ranks",
  () => {
    const whole = new Uint8Array(MESSAGE_BYTES);
    pack(whole, 1, "rank 1 of 2 (host): photos/a.jpg can't be read: permission denied. ".repeat(8));
    let same = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // What arrives has the room that was made for it, whatever was sent.
      const message = new Uint8Array(MESSAGE_BYTES);
      message.set(mutate(whole, round).subarray(0, MESSAGE_BYTES));
      const { kind, text } = unpack(message);
      expect(kind).toBe(message[0]!);
      expect(text.length).toBeLessThan(MESSAGE_BYTES);
      expect(text).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      if (text === unpack(whole).text) same++;
    }
    expect(same).toBeGreaterThan(0);
    expect(same).toBeLessThan(ROUNDS);
  },
  TIMEOUT_MS,
);
