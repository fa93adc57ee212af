/** Damaged definitions of networks, as a stranger's checkpoint may carry them: read as a network, or refused in one line. */
import { expect, test } from "bun:test";
import { AlexNetError } from "../../src/errors.ts";
import { networkIn, networkMetadata } from "../../src/net/definition.ts";
import { concat, conv, fc, globalAveragePool, relu, residual } from "../../src/net/layers/index.ts";
import { leaves, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { mutate, ROUNDS, TIMEOUT_MS } from "../support/mutate.ts";

const start = { sigma: 0.1 };
const network: Network = {
  ...findNetwork("small"),
  name: "mine",
  layers: (classes) => [
    [conv("a", 4, 3, { pad: 1, ...start }), relu()],
    residual("b", [conv("b.c", 4, 3, { pad: 1, groups: 2, ...start })]),
    [concat("e", [[conv("e.c", 2, 1, start)], []]), globalAveragePool()],
    fc("d", classes, start),
  ],
};

test(
  "a network's definition",
  () => {
    const metadata = networkMetadata(network);
    const text = Buffer.from(metadata["definition"]!);
    let good = 0;
    for (let round = 0; round < ROUNDS; round++) {
      try {
        const read = networkIn({ ...metadata, definition: Buffer.from(mutate(text, round)).toString("utf8") }, "x");
        for (const { output } of leaves(place(read, 10))) expect(output.every((side) => side >= 1)).toBe(true);
        expect(read.name).toBe("mine");
        good++;
      } catch (error) {
        if (!(error instanceof AlexNetError)) throw new Error(`round ${round}: no AlexNetError`, { cause: error });
        expect(error.message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      }
    }
    // Many numbers may as well be others.
    expect(good).toBeGreaterThan(0);
    expect(good).toBeLessThan(ROUNDS / 2);
  },
  TIMEOUT_MS,
);
