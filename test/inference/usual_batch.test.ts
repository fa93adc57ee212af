/** How many images are computed at once if nobody says. */
import { expect, test } from "bun:test";
import { openReference } from "../../src/engine/reference.ts";
import { usualBatch, type Trained } from "../../src/inference/loaded_model.ts";
import { heldBytes } from "../../src/net/fit.ts";
import { alexnet, findNetwork } from "../../src/net/networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { any } from "../support/refusals.ts";

const trained = (network: Network): Trained => any({ network, classes: Array.from({ length: network.classes }) });
const held = (network: Network, batch: number) =>
  heldBytes({ network, classes: network.classes, kind: "evaluating" }, batch, openReference());
const device = (totalBytes: number) => ({ ...openReference(), limits: { ...openReference().limits, totalBytes } });

test("as many as are allowed, halved until every model fits the device's memory", () => {
  const [small, large] = [trained(findNetwork("small")), trained(alexnet)];
  const room = held(alexnet, 50);
  expect(usualBatch([small], 128, device(room))).toBe(128);
  expect(usualBatch([large], 50, device(room))).toBe(50);
  expect(usualBatch([small, large], 128, device(room))).toBe(32);
  expect(usualBatch([large], 51, device(room))).toBe(26);
  // What doesn't fit at all is refused when it is loaded.
  expect(usualBatch([large], 128, device(1e6))).toBe(1);
});
